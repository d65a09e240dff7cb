"""What a person sees while something long runs, where there is no terminal."""

from jensen import progress
from jensen.progress import CountProgress


def test_counted_work_says_now_and_then_how_much_time_is_left(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with CountProgress() as bar:
        for done in range(1, 11):
            now[0] += 4.0
            bar.advance("evidence", done, 10)
    # Every 4 s one of ten: after 12 s there are 7 to go, after 24 s 4, after 36 s 1.
    assert capsys.readouterr().err.splitlines() == [
        "evidence: 3 of 10, 28 s left",
        "evidence: 6 of 10, 16 s left",
        "evidence: 9 of 10, 4 s left",
    ]
    with CountProgress(shown=False) as bar:
        now[0] += 100.0
        bar.advance("evidence", 1, 10)
    assert capsys.readouterr().err == ""
