"""What follows from a machine's memory modules for their chips: density, current, area (`machine show`)."""

from typing import Any

from l3sim.specs.config import DimmPimConfig, HbmPimConfig
from l3sim.specs.machine import Machine

GBIT = 2**30 / 8


def derived(machine: Machine) -> dict[str, Any]:
    """By name; empty where no chip of the machine computes, null where its file does not say enough."""
    attention = machine.attention
    if isinstance(attention, DimmPimConfig):
        return _dimm(attention)
    if isinstance(attention, HbmPimConfig):
        return _stack(attention)
    return {}


def lines_of(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    lines = []
    if "chip_gbit" in found:
        lines.append(_density(found))
        mac, read = found["mac_ma"], found["read_ma"]
        above = f"{found['mac_above_standby']:.3g} times what reading adds to standing by"
        lines.append(
            f"current     {mac:.4g} mA a chip while all its banks multiply, {read:.4g} mA reading; {above}"
        )
    if found.get("all_bank_faw"):
        lines.append(f"rows        opening all banks: tFAW is {_READINGS[found['all_bank_faw']]}")
    if found.get("die_share") is not None:
        parts = f"{found['die_mm2']:.4g} mm2 a die ({found['die_share']:.2%} of it)"
        whole = f"{found['module_mm2']:.4g} mm2 a module, {found['machine_mm2']:,.6g} mm2 in all"
        lines.append(f"silicon     units and buffers: {parts}, {whole}")
    return lines


_READINGS = {"exempt": "left out (exempt)", "obey": "obeyed"}


def _density(found: dict[str, Any]) -> str:
    chip, die = found["chip_gbit"], found["die_gbit"]
    if die is None:
        return f"density     {chip:g} Gb a chip; the file does not say of which die refresh and currents are"
    if chip <= die:
        return f"density     {chip:g} Gb a chip; refresh and currents are those of a {die} Gb die"
    stacked = f"{chip / die:g} dies of {die} Gb stacked, one active"
    return f"density     {chip:g} Gb a chip; refresh and currents are those of one {die} Gb die: {stacked}"


def _dimm(pim: DimmPimConfig) -> dict[str, Any]:
    chips = pim.chips_per_rank * pim.ranks_per_module
    chip_gbit = pim.rank_capacity_bytes / pim.chips_per_rank / GBIT
    # Currents above standing by with a row open: all banks' columns, of which only the core's share is spent.
    read = pim.idd4r_ma - pim.idd3n_ma
    column = read * pim.bl_tck / pim.mac_tck * pim.column_core_share
    banks = pim.banks_per_chip if pim.pu == "bank" else 0
    dies = max(chip_gbit / pim.silicon.die_gbit, 1) if pim.silicon.die_gbit else 1
    units = pim.banks_per_chip if pim.pu == "bank" else 0
    return {
        "chip_gbit": chip_gbit,
        "die_gbit": pim.silicon.die_gbit,
        "read_ma": pim.idd4r_ma,
        "mac_ma": pim.idd3n_ma + banks * column if banks else pim.idd4r_ma,
        "mac_above_standby": banks * column / read if banks and read else 1.0,
        "all_bank_faw": pim.all_bank_faw,
        **_area(
            pim,
            units * (pim.silicon.bank_unit_mm2 or 0) + (pim.silicon.buffer_mm2 or 0),
            dies * chips,
            pim.modules,
        ),
    }


def _stack(hbm: HbmPimConfig) -> dict[str, Any]:
    units = hbm.units / hbm.dies if hbm.pu != "buffer" else 0
    found = _area(hbm, units * (hbm.silicon.bank_unit_mm2 or 0), hbm.dies, hbm.modules)
    if found["module_mm2"] is not None:  # the buffer die has the rest
        found["module_mm2"] += hbm.silicon.buffer_mm2 or 0
        found["machine_mm2"] = found["module_mm2"] * hbm.modules
    return {"die_gbit": hbm.silicon.die_gbit, "all_bank_faw": hbm.channel.all_bank_faw, **found}


def _area(of: DimmPimConfig | HbmPimConfig, logic_mm2: float, dies: float, modules: int) -> dict[str, Any]:
    """Units and buffers of a die, a module and the machine, in the die's process; nulls where unknown."""
    known = None not in (of.silicon.bank_unit_mm2, of.silicon.buffer_mm2, of.silicon.process_factor)
    die = logic_mm2 * (of.silicon.process_factor or 0) if known else None
    return {
        "die_mm2": die,
        "die_share": die / of.silicon.die_mm2 if die is not None and of.silicon.die_mm2 else None,
        "module_mm2": die * dies if die is not None else None,
        "machine_mm2": die * dies * modules if die is not None else None,
    }
