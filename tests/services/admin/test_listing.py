"""Lists: every filter, order and page, on the versions of a few tasks."""

import pytest
from sailplane_admin import launch_plans, tables, tasks, workflows
from sailplane_admin.listing import Join, Listing, fields_of, list_page
from sailplane_admin.paging import PAGE_ROWS_MAX, page_request
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InvalidRequest
from sailplane_core.filter_fields import Entity
from sailplane_runtime.clock import ManualClock

from services.admin import registry_requests as requests

NAMES = ("alpha", "Beta", "be_ta", "gamma%", "[x]*")


@pytest.fixture
async def ports(ports: AdminPorts, clock: ManualClock) -> AdminPorts:
    """With a task of each name, registered at 00:00:00, 00:00:01, …"""
    for name in NAMES:
        await tasks.create(ports, requests.task(name))
        clock.advance(1)
    return ports


async def found(ports: AdminPorts, filters: str = "", **options: object) -> list[str]:
    page = await tasks.list_tasks(ports, requests.versions(filters=filters, **options))  # type: ignore[arg-type]
    return [task.id.name for task in page.tasks]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("eq(name,alpha)", ["alpha"]),
        ("eq(task.name,alpha)", ["alpha"]),
        ("eq(name,ALPHA)", []),
        ("ne(name,alpha)", ["Beta", "be_ta", "gamma%", "[x]*"]),
        ("gt(name,alpha)", ["be_ta", "gamma%"]),
        ("gte(name,alpha)", ["alpha", "be_ta", "gamma%"]),
        ("lt(name,alpha)", ["Beta", "[x]*"]),
        ("lte(name,alpha)", ["alpha", "Beta", "[x]*"]),
        ("contains(name,eta)", ["Beta"]),
        ("contains(name,b)", ["be_ta"]),
        ("contains(name,_)", ["be_ta"]),
        ("contains(name,%)", ["gamma%"]),
        ("contains(name,*)", ["[x]*"]),
        ("not_like(name,be%)", ["alpha", "Beta", "gamma%", "[x]*"]),
        ("not_like(name,%a)", ["gamma%", "[x]*"]),
        ("not_like(name,Bet_)", ["alpha", "be_ta", "gamma%", "[x]*"]),
        ("not_like(name,[x]*)", ["alpha", "Beta", "be_ta", "gamma%"]),
        ("value_in(name,alpha;Beta;nobody)", ["alpha", "Beta"]),
        ("value_in(name,alpha)", ["alpha"]),
        ("value_not_in(name,alpha;Beta)", ["be_ta", "gamma%", "[x]*"]),
        ("gt(created_at,2030-01-01T00:00:02Z)", ["gamma%", "[x]*"]),
        ("lte(created_at,2030-01-01T01:00:01.000000-00:00)", list(NAMES)),
        ("gte(created_at,2030-01-01T00:00:01Z)+lt(created_at,2030-01-01T00:00:03Z)", ["Beta", "be_ta"]),
        ("eq(project,flytesnacks)+eq(type,raw-container)+eq(version,v1)+eq(short_description,none)", []),
        ("gt(id,3)", ["gamma%", "[x]*"]),
        ("eq(name,a' OR 1=1 --)", []),
    ],
)
async def test_a_filter_leaves_what_matches(ports: AdminPorts, filters: str, names: list[str]) -> None:
    assert await found(ports, filters) == names


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("name", "invalid value for filters"),
        ("like(name,a)", "unrecognized filter function: like"),
        ("eq(colour,red)", "'task.colour' is invalid filter"),
        ("eq(workflow.name,a)", "'workflow' entity is not allowed in filters"),
        ("eq(nonsense.name,a)", "'nonsense' entity is not allowed in filters"),
        ("eq(name,a;b)", "invalid value for filters"),
        ("eq(created_at,yesterday)", "invalid value for filters"),
        ("eq(id,one)", "invalid value for filters"),
        ("contains(id,1)", "invalid value for filters"),
        (f"contains(name,{'a' * 1_001})", "1000 characters"),
        ("+".join(["value_in(name," + ";".join(["a"] * 1_000) + ")"] * 11), "10000 values"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(ports: AdminPorts, filters: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await found(ports, filters)
    assert said in str(refusal.value)


async def test_many_values_are_no_trouble(ports: AdminPorts) -> None:
    filters = "+".join(["value_in(name," + ";".join(["alpha"] * 1_000) + ")"] * 10)
    assert await found(ports, filters) == ["alpha"]


@pytest.mark.parametrize(
    ("key", "ascending", "names"),
    [
        ("", False, ["alpha", "Beta", "be_ta", "gamma%", "[x]*"]),
        ("name", True, ["Beta", "[x]*", "alpha", "be_ta", "gamma%"]),
        ("name", False, ["gamma%", "be_ta", "alpha", "[x]*", "Beta"]),
        ("task.name", True, ["Beta", "[x]*", "alpha", "be_ta", "gamma%"]),
        ("created_at", False, ["[x]*", "gamma%", "be_ta", "Beta", "alpha"]),
        ("version", True, ["alpha", "Beta", "be_ta", "gamma%", "[x]*"]),
        ("version", False, ["[x]*", "gamma%", "be_ta", "Beta", "alpha"]),
        ("id", False, ["[x]*", "gamma%", "be_ta", "Beta", "alpha"]),
    ],
)
async def test_an_order_is_total(ports: AdminPorts, key: str, ascending: bool, names: list[str]) -> None:
    assert await found(ports, sort_by=key, ascending=ascending) == names


@pytest.mark.parametrize("key", ["colour", "name; drop table tasks", "created_at_us"])
async def test_an_unknown_sort_key_is_refused(ports: AdminPorts, key: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await found(ports, sort_by=key)
    assert f"invalid sort key '{key}'" in str(refusal.value)


async def test_pages_follow_one_another_while_rows_are_added(ports: AdminPorts) -> None:
    names: list[str] = []
    token = ""
    for page_number in range(10):
        page = await tasks.list_tasks(ports, requests.versions(limit=2, token=token))
        names += [task.id.name for task in page.tasks]
        if not (token := page.token):
            break
        if page_number < 2:
            await tasks.create(ports, requests.task(f"new{page_number}"))
    assert names == [*NAMES, "new0", "new1"]


async def test_a_full_last_page_leads_to_an_empty_one(ports: AdminPorts) -> None:
    page = await tasks.list_tasks(ports, requests.versions(limit=5))
    assert len(page.tasks) == 5
    assert page.token
    page = await tasks.list_tasks(ports, requests.versions(limit=5, token=page.token))
    assert (len(page.tasks), page.token) == (0, "")


async def test_a_token_is_an_offset_that_clients_may_compute(ports: AdminPorts) -> None:
    assert await found(ports, limit=2, token="3") == ["gamma%", "[x]*"]
    assert await found(ports, token="1000000") == []


async def test_an_offset_leads_into_the_pages_that_tokens_lead_through(ports: AdminPorts) -> None:
    page = await tasks.list_tasks(ports, requests.versions(limit=2, token="1"))
    assert [task.id.name for task in page.tasks] == ["Beta", "be_ta"]
    await tasks.create(ports, requests.task("last"))
    assert await found(ports, limit=2, token=page.token) == ["gamma%", "[x]*"]


@pytest.mark.parametrize("token", ["-1", "x", "1.5", "٣", "1000001", "9" * 5_000, "p1.", "p1.AAAA"])
async def test_a_token_that_is_no_offset_is_refused(ports: AdminPorts, token: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid pagination token"):
        await found(ports, token=token)


async def test_a_limit_is_needed_and_bounded(ports: AdminPorts) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        await found(ports, limit=0)
    assert len(await found(ports, limit=2**32 - 1)) == len(NAMES)
    asked = await page_request(ports, "ListTasks", requests.versions(limit=2**32 - 1))
    assert asked.rows_max == PAGE_ROWS_MAX


async def test_a_list_stays_within_its_scope(ports: AdminPorts) -> None:
    elsewhere = requests.task("alpha")
    elsewhere.id.domain = "production"
    await tasks.create(ports, elsewhere)
    assert await found(ports, "eq(name,alpha)") == ["alpha"]
    assert await found(ports, "eq(domain,production)") == []
    request = requests.versions()
    request.id.ClearField("project")
    with pytest.raises(InvalidRequest, match="missing project"):
        await tasks.list_tasks(ports, request)


async def test_another_entity_may_belong_by_several_columns(ports: AdminPorts) -> None:
    """Launch plans of which there is a workflow of the same name and version."""
    for name in ("one", "two"):
        await workflows.create(ports, requests.workflow(name, tasks=["alpha"]))
    await launch_plans.create(ports, requests.plan("three", workflow="one"))
    key = ("project", "domain", "name", "version")
    listing = Listing(
        Entity.LAUNCH_PLAN,
        tables.launch_plans,
        fields={Entity.WORKFLOW: fields_of(Entity.WORKFLOW, tables.workflows)},
        joins={
            Entity.WORKFLOW: Join(
                here=[tables.launch_plans.c[name] for name in key], there=[tables.workflows.c[name] for name in key]
            )
        },
    )
    name = tables.launch_plans.c.name
    for filters, names in {"gt(workflow.id,0)": ["one", "two"], "eq(workflow.name,two)": ["two"]}.items():
        asked = await page_request(ports, "", requests.versions())
        page = await ports.store.read(
            lambda connection, filters=filters, asked=asked: list_page(
                connection, listing, [name], (), asked, filters=filters
            )
        )
        assert [row.name for row in page.rows] == names
