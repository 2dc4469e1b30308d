"""The page to which the printed link leads."""

import re

from tests.support.callers import Plane


async def test_the_printed_link_leads_to_a_page_that_names_all_it_needs(plane: Plane) -> None:
    reply = await plane.stranger.get("/setup")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = reply.body.decode()
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (await plane.stranger.get(f"/{name}")).status == 200
    assert set(re.findall(r'name="(\w+)"', page)) == {"viewport", "orgName", "name", "email", "password"}


async def test_the_page_runs_only_its_own_script_and_has_none_within(plane: Plane) -> None:
    reply = await plane.stranger.get("/setup")
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
    assert "unsafe" not in policy
    page = reply.body.decode()
    assert re.findall(r"<script[^>]*>([^<]*)", page) == [""]
    assert not re.search(r"<style|\son\w+=|\sstyle=", page)


async def test_the_script_finds_every_place_of_the_page_that_it_names(plane: Plane) -> None:
    page = (await plane.stranger.get("/setup")).body.decode()
    reply = await plane.stranger.get("/setup.js")
    named = set(re.findall(r'getElementById\("(\w+)"\)', reply.body.decode()))
    assert named
    assert named <= set(re.findall(r'id="(\w+)"', page))
    assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_the_front_door_leads_to_the_dashboard(plane: Plane) -> None:
    reply = await plane.stranger.get("/")
    assert (reply.status, reply.headers["Location"]) == (302, "app/")
