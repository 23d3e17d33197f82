"""Uses LangChain's ChatOpenAI as its own documentation does, and prints what came as one JSON object."""

import json
import sys

import openai
from langchain_openai import ChatOpenAI

QUESTION = "Tell a long story."


def main():
    url, model = sys.argv[1:]
    chat = ChatOpenAI(model=model, base_url=url, max_tokens=20, stream_usage=True)
    answer = chat.invoke(QUESTION)
    pieces = list(chat.stream(QUESTION))
    usage = next((piece.usage_metadata for piece in reversed(pieces) if piece.usage_metadata), None)
    for _ in chat.stream(QUESTION):
        break  # What is left early must not be in the way of the next one.
    failures = []
    for wrong in (
        ChatOpenAI(model=model, base_url=url, api_key="nobody", max_retries=0),
        ChatOpenAI(model="nope", base_url=url, max_retries=0),
    ):
        try:
            wrong.invoke(QUESTION)
        except openai.APIStatusError as error:
            failures.append([type(error).__name__, error.status_code])
    print(
        json.dumps(
            {
                "answer": answer.content,
                "tokens": answer.usage_metadata["total_tokens"],
                "pieces": len(pieces),
                "streamed": "".join(piece.content for piece in pieces),
                "streamed_tokens": usage["total_tokens"],
                "again": chat.invoke(QUESTION).content,
                "failures": failures,
            }
        )
    )


if __name__ == "__main__":
    main()
