"""Makes chat.json: conversations, templates in the manner of well-known checkpoints, and what
transformers makes of them.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/chat/make_chat.py
Made with transformers 5.23.0 and its jinja2 (printed below on every run).
"""

import json
import pathlib

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

TEMPLATES = {
    # Instruction brackets with a system part inside the first of them (LLaMA 2).
    "brackets": (
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}{% else %}"
        "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
        "{% for message in loop_messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% if loop.index0 == 0 and system_message != false %}"
        "{% set content = '<<S>>\\n' + system_message + '\\n<</S>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[I] ' + content.strip() + ' [/I]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}"
        "{% endif %}{% endfor %}"
    ),
    # Headers with an offset and a capture (LLaMA 3).
    "headers": (
        "{{- bos_token }}\n{%- if tools is not none and tools %}\n    {{- 'tools' }}\n{%- endif %}\n"
        "{#- The system message goes first. -#}\n"
        "{%- if messages[0]['role'] == 'system' %}\n"
        "    {%- set system_message = messages[0]['content']|trim %}\n"
        "    {%- set messages = messages[1:] %}\n{%- else %}\n"
        "    {%- set system_message = \"\" %}\n{%- endif %}\n"
        "{%- set date = date_string if date_string is defined else '26 Jul 2024' %}\n"
        "{{- '<|h|>system<|/h|>\\n\\n' ~ 'Today: ' ~ date + '\\n' }}{{- system_message }}"
        "{{- '<|e|>' }}\n{%- for message in messages %}\n"
        "    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}\n"
        "        {{- '<|h|>' + message['role'] + '<|/h|>\\n\\n'+ message['content'] | trim + '<|e|>' }}\n"
        "    {%- elif message.tool_calls|length != 1 %}\n{{- raise_exception('one call') }}\n"
        "    {%- endif %}\n{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n    {{- '<|h|>assistant<|/h|>\\n\\n' }}\n{%- endif %}\n"
    ),
    # Plain lines, with lstrip and trim of blocks (Zephyr, TinyLlama).
    "lines": (
        "{% for message in messages %}\n"
        "    {% if message['role'] == 'user' %}\n"
        "{{ '<|user|>\\n' + message['content'] + eos_token }}\n"
        "  {% elif message['role'] == 'system' %}\n"
        "{{ '<|system|>\\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'assistant' %}\n"
        "{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
        "{% endfor %}"
    ),
    # Namespaces, filters, reversed walks and macros (Qwen, Gemma and others).
    "namespaces": (
        "{%- macro turn(role, text, mark='#') -%}\n<|{{ role }}|>{{ mark }}{{ text }}\n{% endmacro -%}\n"
        "{%- set ns = namespace(last=-1, seen=[]) %}\n"
        "{%- for message in messages[::-1] %}\n{%- set index = (messages|length - 1) - loop.index0 %}\n"
        "{%- if ns.last < 0 and message.role == \"user\" and message.content is string and not("
        "message.content.startswith('<t>') and message.content.endswith('</t>')) %}\n"
        "{%- set ns.last = index %}\n{%- endif %}\n{%- endfor %}\n"
        "{%- for message in messages if message.role != 'system' %}\n"
        "{%- set role = 'model' if message.role == 'assistant' else message.role %}\n"
        "{{- turn(role, message.content | trim | upper if loop.first else message.content, mark='*') }}"
        "{%- if loop.last %}[{{ ns.last }}/{{ loop.length }}]{% endif %}\n{%- else %}nobody{% endfor %}\n"
        "{%- if add_generation_prompt %}{{ turn('model', '') }}{% endif %}"
    ),
    # Expressions of all kinds.
    "expressions": (
        "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 * 3 + 4 - 1 }} {{ 'ab' * 2 }}|"
        "{{ [1, 'a', none, true, {'k': 1.5}] }} {{ (1, 2)[1] }} {{ 'abc'[1:] }} {{ 'abc'[-1] }}|"
        "{{ {'b': [1, 2], 'a': 'é\\n\"'} | tojson }} {{ {'a': {'b': []}} | tojson(indent=2) }}|"
        "{{ 'x' in 'xyz' and 'q' not in ['a'] or false }} {{ 1 < 2 <= 2 }} {{ 'a' < 'b' }}|"
        "{{ missing is defined }} {{ missing | default('none there') }} {{ '' | default('e', true) }}|"
        "{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}|"
        "{{ ' a b  c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ '  x '.lstrip() }}. {{ 'xxaxx'.strip('x') }} {{ 'aXb'.replace('X', '-') }}|"
        "{% for key, value in {'p': 1, 'q': 2}.items() %}{{ loop.index }}{{ key }}={{ value }}{% if not loop.last %};{% endif %}{% endfor %}|"
        "{% for i in range(1, 8, 2) %}{% if i == 3 %}{% continue %}{% endif %}{% if i > 6 %}{% break %}{% endif %}{{ i }}{% endfor %}|"
        "{% set block %}  in {{ 'side' }}  {% endset %}{{ block | trim }} {{ 'hELLO'.capitalize() }} {{ 'hello you'.title() }}|"
        "{{ 5 is odd }} {{ 6 is divisibleby(3) }} {{ none is none }} {{ 'a' is string }} {{ [] is iterable }} {{ {} is mapping }}|"
        "{{ messages[0].get('name', 'anonymous') }} {{ messages[0].name is undefined }} {{ 'one' if messages | length == 1 else 'many' }}|"
        "{% raw %}{{ not this }}{% endraw %} {{ 'a' 'b' }} {{ [3, 1] | first }} {{ 'abc' | length }} {{ '12' | int + 1 }} {{ \"it's\" }}"
    ),
}
CONVERSATIONS = {
    "question": [("user", " What is 1 + 1? ")],
    "system": [("system", "Be brief. "), ("user", "Hi"), ("assistant", " Hello! "), ("user", "Why?")],
    "answered": [("user", "Name a bird.\nAny."), ("assistant", "A swift: アマツバメ.")],
    "wrong": [("assistant", "I begin."), ("user", "No, I do.")],
}

print("transformers", transformers.__version__, "jinja2", jinja2.__version__)
cases = []
for name, template in TEMPLATES.items():
    for title, turns in CONVERSATIONS.items():
        messages = [{"role": role, "content": content} for role, content in turns]
        for add in [False, True]:
            case = dict(name=f"{name}, {title}", template=template, messages=messages, add=add)
            try:
                case["expected"] = _compile_jinja_template(template).render(
                    messages=messages, add_generation_prompt=add, bos_token="<s>",
                    eos_token="</s>", tools=None, documents=None)
            except jinja2.exceptions.TemplateError as error:
                case["error"] = str(error)
            cases.append(case)
path = pathlib.Path(__file__).parent / "chat.json"
path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
