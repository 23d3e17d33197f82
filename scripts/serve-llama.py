"""Serves a GGUF model by llama.cpp's own HTTP server, which the wheel `xllamacpp` carries.

Prints `READY http://127.0.0.1:PORT` once it answers. Ends on SIGTERM, SIGINT, or with the process that started it.
"""

import argparse
import ctypes
import os
import pathlib
import signal
import sys

import xllamacpp

PR_SET_PDEATHSIG = 1


def end_with_parent():
    """Asks the kernel for SIGTERM when our parent dies (prctl(2)); a parent already gone ends us here."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a .gguf file")
    parser.add_argument("port", type=int, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--alias", default="smollm2-135m-instruct", help="the model's name in the API")
    parser.add_argument("--ctx", type=int, default=2048, help="tokens of context for each request")
    parser.add_argument("--parallel", type=int, default=2, help="requests at once")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="two that wait for each other by spinning stall for tens of seconds on a busy 2-core machine",
    )
    parser.add_argument("--template", type=pathlib.Path, help="a Jinja chat template instead of the model's own")
    parser.add_argument("--temperature", type=float, default=0.3, help="of requests that name none")
    parser.add_argument("--predict", type=int, default=400, help="tokens of an answer, of requests that name no limit")
    parser.add_argument("--key", help="the API key to ask for")
    parser.add_argument("--embedding", action="store_true", help="embed texts instead of writing some")
    return parser.parse_args()


def main():
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    args = arguments()
    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.model_alias = {args.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_ctx = args.ctx * args.parallel
    params.n_parallel = args.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    # Where a request says nothing: a small model rambles at the usual 0.8.
    params.sampling.temp = args.temperature
    params.n_predict = args.predict
    params.use_jinja = True
    params.endpoint_metrics = params.endpoint_slots = True
    if args.template:
        params.chat_template = args.template.read_text()
    if args.key:
        params.api_keys = [args.key]
    if args.embedding:
        params.embedding = True
        params.n_batch = params.n_ubatch = args.ctx
    server = xllamacpp.Server(params)
    print("READY", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
