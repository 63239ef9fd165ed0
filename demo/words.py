"""What the demo says when it serves: where to look, how to log in, three calls to try.

It knows one household and one product of the shop by heart, both from the public data.
"""

import secrets
from textwrap import dedent

from demo.memory import Memory
from demo.processes import HOST

HOUSEHOLD = "1"

DIAPERS = "7147145"
"""What is bought with it is not what everybody buys."""


def address(port: int, path: str) -> str:
    """The URL of a page of the demo."""
    return f"http://{HOST}:{port}{path}"


def ready(remembered: Memory, *, port: int, seconds: float) -> str:
    """The page of text that ends the start."""
    kept = remembered.secrets
    login = f"admin / {kept['password']}" if "password" in kept else "your own login"
    shopper = f"visitor-{secrets.token_hex(2)}"
    return dedent(f"""
        Serving after {seconds:.0f} seconds. Ctrl-C stops everything.

          API docs   {address(port, "/v1/docs")}
          Admin      {address(port, "/admin/")}   {login}
          Keys       {kept["publishable"]} (lists and events)
                     {kept["secret"]} (everything)

        1. What a household that has shopped here all year gets on the home page:

        {_list(remembered, port, f"user_id={HOUSEHOLD}")}

        2. Somebody new looks at diapers:

        {_click(remembered, port, shopper)}

        3. The home page of that same shopper. Call it before and after the click: it changes
           from what everybody buys to what parents buy, in the very next answer.

        {_list(remembered, port, f"anonymous_id={shopper}")}

        The first time a worker now learns from the year of history, for about a quarter of an hour.
        Until then Tuning, Ranker and Spaces in the admin are empty; worker.log says what came of it.
        """)


def _list(remembered: Memory, port: int, who: str) -> str:
    return (
        f"curl -s -H 'Authorization: Bearer {remembered.secrets['publishable']}' "
        f"'{address(port, '/v1/recommend/home')}?{who}&count=5'"
    )


def _click(remembered: Memory, port: int, shopper: str) -> str:
    event = f'{{"event": "view_item", "anonymous_id": "{shopper}", "item_id": "{DIAPERS}"}}'
    return (
        f"curl -s -H 'Authorization: Bearer {remembered.secrets['publishable']}' "
        f"-H 'Content-Type: application/json' -d '{event}' {address(port, '/v1/events')}"
    )
