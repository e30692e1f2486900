"""`./l3 reproduce`: published figures beside ours, under the source's assumptions and under our models.

app         the command and its options
published   the figures, from `l3sim/data/published.yaml`, which nothing else reads
runs        single runs, kept in a folder so that a page can be continued
plan        which run a figure asks for: machines, policies, numbers of requests
hypotheses  what might explain a difference, none of it a default
arithmetic  the steady state in closed form, beside the simulation
cells       the end-to-end table, cell by cell, and its hypotheses
waterfall   from a published figure to ours, one assumption at a time
figures     capacity, scaling, scheduler, energy, and the rest
parts       module and link, from the devices themselves
study       what was asked for, and what its runs came to
page        all of it as Markdown
"""
