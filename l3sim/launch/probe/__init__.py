"""`./l3 probe DEVICE`: what one device model says about one question, without a machine or a job.

    ./l3 probe gpu --gpu a100-80gb --model llama-2-70b --tp 4 --tokens 256
         |     |
       app.py  gpu.py, link.py, ...: one module a device, a command each

A probe builds the same model that the device service serves, asks it once and prints the answer; it reads
specs and device models only, never the orchestrator.
"""
