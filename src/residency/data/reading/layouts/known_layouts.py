"""Every layout by name: those of this package, in the order in which they are tried, and plugins'."""

from __future__ import annotations

from residency.data.reading.layouts.annotation_exports import (
    ArgillaLayout,
    LabelStudioLayout,
    LabelStudioTableLayout,
)
from residency.data.reading.layouts.chatgpt_export import ChatGPTExportLayout
from residency.data.reading.layouts.comparison import ComparisonLayout, RankedLayout
from residency.data.reading.layouts.dialogue import (
    DialogueLayout,
    MossLayout,
    QuestionListLayout,
)
from residency.data.reading.layouts.judged_pairs import LabelStudioPairLayout
from residency.data.reading.layouts.layout import SHARED_FIELDS, Layout
from residency.data.reading.layouts.messages import MessagesLayout, SegmentsLayout, ShareGPTLayout
from residency.data.reading.layouts.multiple_choice import MultipleChoiceLayout
from residency.data.reading.layouts.open_assistant import OpenAssistantLayout
from residency.data.reading.layouts.preference import PreferenceLayout, WorseAnswerLayout
from residency.data.reading.layouts.promptfoo import PromptfooLayout
from residency.data.reading.layouts.raw_text import (
    ChatTextLayout,
    TextLabelLayout,
    TextLayout,
)
from residency.data.reading.layouts.single_turn import (
    AlpacaLayout,
    InputOutputLayout,
    PromptLayout,
    QuestionLayout,
)
from residency.data.reading.layouts.squad import SquadLayout
from residency.errors import ConfigError
from residency.plugins import find_plugins

BUILT_IN: tuple[type[Layout], ...] = (
    OpenAssistantLayout,
    LabelStudioPairLayout,
    LabelStudioLayout,
    LabelStudioTableLayout,
    ArgillaLayout,
    PromptfooLayout,
    SquadLayout,
    ChatGPTExportLayout,
    MossLayout,
    QuestionListLayout,
    PreferenceLayout,
    WorseAnswerLayout,
    ComparisonLayout,
    RankedLayout,
    DialogueLayout,
    MessagesLayout,
    ShareGPTLayout,
    SegmentsLayout,
    MultipleChoiceLayout,
    AlpacaLayout,
    PromptLayout,
    QuestionLayout,
    InputOutputLayout,
    ChatTextLayout,
    TextLabelLayout,
    TextLayout,
)
"""Exports come first, since their rows also hold a text or a prompt; raw text comes last."""


def find_layouts() -> dict[str, Layout]:
    """Every known layout by name; plugins are tried first and may replace a built-in one.

    Raises:
        ConfigError: a plugin is no layout.
    """
    plugins: dict[str, Layout] = {}
    for name, plugin in find_plugins("layouts").items():
        layout = plugin() if isinstance(plugin, type) else plugin
        if not isinstance(layout, Layout):
            raise ConfigError(
                f"the plugin {name!r} is no row layout",
                where="residency.layouts",
                next_step="subclass residency.data.reading.layouts.layout.Layout",
            )
        plugins[name] = layout
    return plugins | {kind.name: kind() for kind in BUILT_IN if kind.name not in plugins}


def describe_layouts() -> str:
    """The table of layouts in docs/data.md."""
    rows = ["| layout | fields |", "|---|---|"]
    rows += [f"| `{kind.name}` | {kind.about} |" for kind in BUILT_IN]
    *shared, last = (f"`{field}`" for field in SHARED_FIELDS)
    sentence = f"Rows of every layout may also have the fields {', '.join(shared)} and {last}."
    return "\n".join(rows) + f"\n\n{sentence}"
