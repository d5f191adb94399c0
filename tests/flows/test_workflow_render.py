"""Values, tokens and local files, as OSMO treats them."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import InputError
from skill_tools.flows.render import load_workflow, render, resolve_tokens, variables

HEAD = "workflow:\n  name: hello\n"
TASK = "  tasks:\n  - name: t1\n    image: ubuntu\n    command: [ls]\n"


def code_of(text: str, **values: str) -> str:
    """Return the code of the error that rendering raises."""
    with pytest.raises(InputError) as caught:
        render(text, values)
    return caught.value.code


def test_submit_values_go_over_default_values_which_disappear() -> None:
    """A default holds until a value is given, and its section is not part of the workflow."""
    text = 'workflow:\n  name: "{{a}}-{{b}}"\ndefault-values:\n  a: one\n  b: two\n'
    assert render(text, {"b": "three"}) == 'workflow:\n  name: "one-three"\n'
    assert variables(text) == (frozenset(), {"a", "b"})
    assert variables('workflow:\n  name: "{{a}}{{c}}{{output}}"\n') == ({"a", "c"}, frozenset())


def test_a_text_without_jinja_is_left_alone() -> None:
    """No marker, no template: not even a stray value changes it."""
    assert render(HEAD, {"name": "x"}) == HEAD


def test_tokens_of_the_service_survive_and_spaced_ones_do_not() -> None:
    """The five tokens pass as they stand; with a blank they are variables, or broken Jinja."""
    tokens = "{{output}} {{workflow_id}} {{uuid}} {{input:0}} {{input:setup}} {{host:t1}}"
    assert render(f"workflow:\n  a: '{tokens} {{{{v}}}}'\n", {"v": "x"}) == f"workflow:\n  a: '{tokens} x'\n"
    assert code_of("workflow:\n  a: '{{ output }}'\n") == "input.undefined_variable"
    assert code_of("workflow:\n  a: '{{ input:0 }}'\n") == "input.template"


def test_an_undefined_name_is_named_with_those_that_are_there() -> None:
    """The message carries the name, the expectation lists what was given."""
    with pytest.raises(InputError, match="'video' is undefined") as caught:
        render("workflow:\n  name: '{{video}}'\n", {"dataset": "x"})
    assert caught.value.code == "input.undefined_variable"
    assert "dataset" in caught.value.expected


def test_loops_conditions_and_filters_work() -> None:
    """What the service's sandbox offers is there."""
    text = "workflow:\n  a: [{% for v in video.split(',') if v != 'b' %}'{{v | upper}}',{% endfor %}]\n"
    assert render(text, {"video": "a,b,c"}) == "workflow:\n  a: ['A','C',]\n"


@pytest.mark.parametrize(
    "jinja",
    [
        "{{ ''.__class__.__mro__ }}",
        "{% for x in %}",
        "{% include 'x' %}",
        "{{ range(1000000) }}",
        "{{ 1 // 0 }}",
        "{{ 'a' + 1 }}",
    ],
)
def test_what_the_sandbox_forbids_or_jinja_can_not_read_is_an_input_error(jinja: str) -> None:
    """Attacks and slips end in a typed error, never in a traceback."""
    assert code_of(f"workflow:\n  a: '{jinja}'\n") in {"input.template", "input.undefined_variable"}


@pytest.mark.parametrize(
    "value", ['a"b', "a\\b", "a\nb", "a: b", "end:", "a #b", "{{w}}/x", "{% x", "{#", "\x00"]
)
def test_values_that_would_break_the_yaml_are_refused(value: str) -> None:
    """Values are pasted as they are, so what YAML or Jinja would read as its own is turned away."""
    with pytest.raises(InputError, match="storage_url") as caught:
        render("workflow:\n  a: '{{storage_url}}'\n", {"storage_url": value})
    assert caught.value.code == "input.unsafe_value"


@pytest.mark.parametrize(
    "value", ["s3://b/p", "weather:rain+time_of_day:evening", "a,b.1", "C#", "/a b/ü", "", "0012"]
)
def test_values_that_are_harmless_pass(value: str) -> None:
    """URLs, lists, blanks and other alphabets are fine between quotes."""
    assert render('workflow:\n  a: "{{v}}"\n', {"v": value}) == f'workflow:\n  a: "{value}"\n'


def test_a_foreign_key_at_the_margin_is_refused() -> None:
    """OSMO knows three sections."""
    assert code_of("workflow:\n  a: '{{v}}'\nextra:\n  b: 1\n", v="x") == "input.workflow_spec"


def test_local_files_are_read_from_the_workflow_files_folder(tmp_path: Path) -> None:
    """A relative path counts from the workflow file, an absolute one as it stands."""
    (tmp_path / "near.sh").write_text("echo near\n")
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        f"{HEAD}{TASK}    files:\n    - {{path: /a, localpath: near.sh}}\n"
        '    - {path: /b, localpath: "{{folder}}/near.sh"}\n'
    )
    spec = load_workflow(workflow, {"folder": str(tmp_path)})
    assert [(file.path, file.contents) for file in spec.tasks[0].files] == [
        ("/a", b"echo near\n"),
        ("/b", b"echo near\n"),
    ]


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_local_file_that_can_not_be_injected_is_named(tmp_path: Path, kind: str) -> None:
    """What isn't a UTF-8 text file is refused with its path."""
    local = tmp_path / "thing"
    if kind == "folder":
        local.mkdir()
    if kind == "binary":
        local.write_bytes(b"\x80\xff")
    workflow = tmp_path / "w.yaml"
    workflow.write_text(f"{HEAD}{TASK}    files: [{{path: /a, localpath: thing}}]\n")
    with pytest.raises(InputError, match="thing") as caught:
        load_workflow(workflow, {})
    assert caught.value.code == "input.workflow_file"


def test_injected_text_is_rendered_in_the_second_pass(tmp_path: Path) -> None:
    """Jinja in a script is resolved from the submit values alone, without the defaults."""
    (tmp_path / "s.sh").write_text("echo {{given}} {{output}} {% raw %}{{kept}}{% endraw %}\n")
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        f"{HEAD}{TASK}    files: [{{path: /a, localpath: s.sh}}]\ndefault-values:\n  other: x\n"
    )
    spec = load_workflow(workflow, {"given": "hi"})
    assert spec.tasks[0].files[0].contents == b"echo hi {{output}} {{kept}}\n"
    (tmp_path / "s.sh").write_text("echo {{other}}\n")
    with pytest.raises(InputError, match=r"'other' is undefined.*files\.0\.contents.*second pass"):
        load_workflow(workflow, {"given": "hi"})


def test_a_bash_length_in_a_script_is_caught_as_the_service_would(tmp_path: Path) -> None:
    """`${#array[@]}` opens a Jinja comment."""
    (tmp_path / "s.sh").write_text('echo "${#array[@]}"\n')
    workflow = tmp_path / "w.yaml"
    workflow.write_text(f"{HEAD}{TASK}    files: [{{path: /a, localpath: s.sh}}]\n")
    with pytest.raises(InputError, match="Missing end of comment tag") as caught:
        load_workflow(workflow, {})
    assert caught.value.code == "input.template"


def test_a_default_that_names_another_value_is_resolved_in_the_second_pass(tmp_path: Path) -> None:
    """Defaults aren't rendered themselves; what they hold is, if the submit gave it."""
    workflow = tmp_path / "w.yaml"
    defaults = 'default-values:\n  cache: "{{storage}}/models"\n  storage: s3://default\n'
    workflow.write_text(f'{HEAD}{TASK}    environment: {{CACHE: "{{{{cache}}}}"}}\n{defaults}')
    spec = load_workflow(workflow, {"storage": "s3://given"})
    assert spec.tasks[0].environment == {"CACHE": "s3://given/models"}
    with pytest.raises(InputError, match="'storage' is undefined"):
        load_workflow(workflow, {})


def test_a_missing_or_unreadable_workflow_is_an_input_error(tmp_path: Path) -> None:
    """No file and no YAML are told apart."""
    with pytest.raises(InputError) as caught:
        load_workflow(tmp_path / "none.yaml", {})
    assert caught.value.code == "input.workflow_file"
    (tmp_path / "w.yaml").write_text("workflow:\n  name: x\n  - bad: [\n")
    with pytest.raises(InputError, match="not properly formatted") as caught:
        load_workflow(tmp_path / "w.yaml", {})
    assert caught.value.code == "input.workflow_yaml"


def test_tokens_are_resolved_for_one_task() -> None:
    """Known ones are replaced; an input or a host that isn't there stays as text."""
    text = "{{output}} {{input:0}} {{input:setup}} {{input:9}} {{host:a}} {{host:z}} {{workflow_id}} {{uuid}}"
    resolved = resolve_tokens(
        text,
        output="/out",
        inputs=("/in/0", "/in/1"),
        input_names={"setup": 1},
        workflow_id="hello-1",
        hosts={"a": "127.0.0.1"},
    )
    assert resolved == "/out /in/0 /in/1 {{input:9}} 127.0.0.1 {{host:z}} hello-1 {{uuid}}"
