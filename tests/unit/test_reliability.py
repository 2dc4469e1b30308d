"""`./scripts/reliability`: the page is what the results say, and says first what is missing or missed."""

from pathlib import Path
from typing import Any

from reliability_report.__main__ import main
from reliability_report.page import page
from reliability_report.results import FOLDER, Result, load_all
from reliability_report.takes import TAKES, described, page_path

TAKEN = {"date": "2026-01-02 03:04:05 UTC", "commit": "abc1234", "processor": "one", "load": "0.00"}
ROW: dict[str, Any] = {
    "name": "end to end",
    "unit": "jobs/s",
    "median": 500.0,
    "rounds": [400.0, 500.0, 600.0],
    "yardstick": {"name": "bare POST/s", "rounds": [9000.0, 10_000.0, 11_000.0]},
    "ratio": 0.05,
    "floor": "≥ 0.06",
    "passed": False,
}


def result(name: str, **said: Any) -> Result:
    return Result(name=name, command=f"python -m {name}", taken=TAKEN, seconds=60, result=said)


def production(**changed: Any) -> Result:
    return result("production", bench="production", rows=[ROW | changed], steps=3, disturbed=1)


def chaos(*, mutant: str = "", lost: int = 0) -> Result:
    name = "-".join(filter(None, ("chaos-cluster", mutant)))
    return result(name, mode="cluster", seed=7, seconds=60.0, mutant=mutant, violations={"lost": lost}, kills=50)


def section(text: str, head: str) -> str:
    return text.partition(f"## {head}\n")[2].partition("\n## ")[0]


def test_the_page_in_the_repository_is_what_the_results_say() -> None:
    assert page_path().read_text(encoding="utf-8") == page(load_all(FOLDER), TAKES, described())


def test_a_missed_floor_stands_first_and_in_its_row() -> None:
    text = page([production()], [], {})
    assert "- `production`: end to end: 0.05 of bare POST/s 10,000, and ≥ 0.06 is wanted" in section(text, "Misses")
    assert "0 of 1 floors are reached." in section(text, "Misses")
    assert "| 0.05 | ≥ 0.06 | **MISS** | production |" in section(text, "Floors")


def test_a_figure_without_a_floor_is_told_apart() -> None:
    text = page([production(floor=None, passed=None)], [], {})
    assert "- none" in section(text, "Misses")
    assert "end to end" not in section(text, "Floors")
    assert "end to end" in section(text, "Other figures")


def test_what_has_not_been_taken_is_a_miss() -> None:
    assert "- `fleet` has not been taken yet" in section(page([production()], ["fleet", "production"], {}), "Misses")


def test_a_broken_promise_is_a_miss_and_so_is_a_planted_bug_that_nobody_noticed() -> None:
    assert "`chaos-cluster`: 2 promises broken" in section(page([chaos(lost=2)], [], {}), "Misses")
    assert "`chaos-cluster-no_fence`: no_fence was not caught" in page([chaos(mutant="no_fence")], [], {})


def test_a_planted_bug_that_was_caught_is_told_with_what_it_does() -> None:
    text = page([chaos(mutant="no_fence", lost=3)], [], {"no_fence": "Nobody asks who owns the host."})
    assert "- none" in section(text, "Misses")
    assert "| `no_fence` | Nobody asks who owns the host. | real processes, cluster |" in section(text, "Planted bugs")
    assert "| 3 lost |" in section(text, "Planted bugs")


def test_a_failing_world_and_a_surviving_mutant_are_misses() -> None:
    worlds = result("simulate", first=1, seeds=10, failures=[{"case": "4 jobs=2", "what": "Violation: two at once"}])
    told = [{"mutant": "m", "described": "Frees | early.", "seeds": None, "what": ""}]
    text = page([result("mutants", first=1, seeds=300, mutants=told), worlds], [], {})
    assert "- `simulate`: seed 4 jobs=2: Violation: two at once" in section(text, "Misses")
    assert "- `mutants`: m survived" in section(text, "Misses")
    assert r"| `m` | Frees \| early. | simulated worlds | **survived 300 seeds** |" in section(text, "Planted bugs")


def test_every_run_is_told_with_its_date_and_commit_and_disturbed_steps_are_confessed() -> None:
    told = section(page([production()], [], {}), "When, where, of what")
    assert "| [production](results/production.json) | 2026-01-02 03:04:05 UTC | abc1234 |" in told
    assert "1 of 3 steps were disturbed" in told


def test_results_are_read_as_they_were_saved_and_a_stale_page_is_found(tmp_path: Path) -> None:
    results, path = tmp_path / "results", tmp_path / "page.md"
    production().save(results)
    assert load_all(results) == [production()]
    where = ["--results", str(results), "--page", str(path)]
    assert main([*where, "--check"]) == 1
    assert main(where) == 0
    assert main([*where, "--check"]) == 0
