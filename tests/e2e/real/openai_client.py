"""Uses PyPI's openai package as its own documentation does, and prints what came as one JSON object."""

import json
import sys
import time

import openai

MESSAGES = [{"role": "user", "content": "Tell a long story."}]


def failure(call):
    """The class, status and code of the failure that the call ends with."""
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code]
    return None


def main():
    client = openai.OpenAI(base_url=sys.argv[1])
    models = [model.id for model in client.models.list()]
    answer = client.chat.completions.create(model=models[0], messages=MESSAGES, max_tokens=20)

    times, text, usage = [], "", None
    for chunk in client.chat.completions.create(
        model=models[0], messages=MESSAGES, max_tokens=40, stream=True, stream_options={"include_usage": True}
    ):
        times.append(time.monotonic())
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage

    stranger = openai.OpenAI(base_url=sys.argv[1], api_key="nobody", max_retries=0)
    print(
        json.dumps(
            {
                "models": models,
                "answer": answer.choices[0].message.content,
                "chunks": len(times),
                "spread_ms": round((times[-1] - times[0]) * 1000),
                "streamed": text,
                "completion_tokens": usage.completion_tokens,
                "failures": [
                    failure(stranger.models.list),
                    failure(lambda: client.models.retrieve("nope")),
                    failure(lambda: client.chat.completions.create(model=models[0], messages=MESSAGES, temperature=3)),
                ],
            }
        )
    )


if __name__ == "__main__":
    main()
