"""What a job makes of what it is given."""

from pathlib import Path

from helpers.processes import in_a_process

MINE = """
from accord.baselines.control.fixed import ServeNow
from accord.baselines.registry import register

@register("mine", "nothing")
class Mine(ServeNow):
    share = 0.5
"""


def test_a_digest_of_the_launching_process_is_not_given_to_code_that_nobody_can_vouch_for(tmp_path: Path) -> None:
    script = f"""
        import mine
        from accord.benchmark.launch import start
        from accord.benchmark.records.identity import is_readable
        from accord.benchmark.specs.resolved import resolve_run
        from accord.benchmark.specs.run import make_run

        spec = make_run("games/climbing", "mine", 0)
        launched = start.identify(resolve_run(spec)).identity
        assert is_readable(launched)
        data = {{"spec": spec.model_dump(), "root": "runs", "imports": [], "code": "[]"}}
        code._KNOWN.clear()
        code._READ.clear()
        write("mine.py", {MINE.replace("0.5", "0.9")!r}, late=True)

        def given(identity):
            return start._given(data | {{"identity": identity.model_dump()}})[0].identity

        assert not is_readable(given(launched))
        unknown = launched.model_copy(update={{"code": "unknown 1"}})
        assert given(unknown) == unknown
    """
    in_a_process(tmp_path, script, mine=MINE)
