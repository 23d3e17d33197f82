"""Turns a GGUF model into the folder that vLLM loads. Usage: gguf_to_transformers.py MODEL.gguf FOLDER"""

import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

source, target = pathlib.Path(sys.argv[1]), sys.argv[2]
model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.bfloat16)
tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
# The weights were unpacked: what is written is not quantized any more.
for name in ("hf_quantizer", "is_quantized", "quantization_method"):
    if hasattr(model, name):
        delattr(model, name)
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.save_pretrained(target)
tokenizer.save_pretrained(target)
