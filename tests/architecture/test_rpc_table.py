"""docs/rpcs.md lists every RPC as it is."""

import rpc_table


def test_it_is_up_to_date() -> None:
    assert rpc_table.TABLE.read_text() == rpc_table.text(), "`make rpc-table` writes it anew"


def test_whatever_is_answered_is_tried() -> None:
    modules = rpc_table.test_modules()
    methods = [method for service in rpc_table.services() for method in service.methods]
    untried = [
        one.full_name for one in methods if rpc_table.answered(one) == "yes" and not rpc_table.tried_in(modules, one)
    ]
    assert untried == []
