"""The template of an exported file asks what the model was trained on, given one text a message."""

from __future__ import annotations

import pytest

from chat_families import tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError
from residency.export.file_template import divides_input, write_file_template
from residency.export.ollama_modelfile import write_modelfile
from residency.model.own_bases import shipped_folder
from residency.model.stored_tokenizer import StoredTokenizer
from residency.nouns.example import Message

INSTRUCTION = 'Write the ticket: "product", {{ urgency }}, naïve %} of it.'


def test_an_instruction_and_its_input_are_divided_again() -> None:
    chat = ChatFormat(StoredTokenizer(shipped_folder()))
    assert divides_input(chat.template)
    template = write_file_template(chat, INSTRUCTION)
    written = ChatFormat(StoredTokenizer(shipped_folder()), template)
    asked = Message("user", INSTRUCTION, "My kettle leaks.\n\nOrder 7")
    plain = Message("user", asked.text)
    assert chat.prompt_ids([plain]) != chat.prompt_ids([asked])
    assert written.prompt_ids([plain]) == chat.prompt_ids([asked])
    turns = [plain, Message("assistant", "product: kettle"), Message("user", "And the order?")]
    known = [asked, *turns[1:]]
    assert written.prompt_ids(turns) == chat.prompt_ids(known)
    other = [Message("user", "What is 2 + 2?")]
    assert written.prompt_ids(other) == chat.prompt_ids(other)
    with pytest.raises(ModelError, match="headings of their own"):
        write_modelfile(chat, "x.gguf", context=512)


@pytest.mark.parametrize("family", ["chatml", "llama3", "gemma"])
def test_other_templates_stay_letter_by_letter(family: str) -> None:
    chat = ChatFormat(tokenizer_of(family))
    assert write_file_template(chat, INSTRUCTION) == chat.template
