"""The styles of the saved answer, by name. The live view's style sheet has the same ones.

Colours follow JupyterLab's variables, then VS Code's, then a colour that suits light and dark themes. JupyterLab's
sanitizer removes variables from untrusted notebooks, so each declaration with one follows a plain declaration.
"""

from __future__ import annotations

import re

__all__ = ["STYLES", "inline_styles"]

GREY = "rgba(128,128,128,0.35)"
LINE = f"var(--jp-border-color1,var(--vscode-panel-border,{GREY}))"
RED = "var(--jp-error-color1,var(--vscode-errorForeground,#d9413d))"
GREEN = "var(--jp-success-color1,var(--vscode-testing-iconPassed,#3d9a45))"
ORANGE = "var(--jp-warn-color1,var(--vscode-editorWarning-foreground,#d07b16))"
BLUE = "var(--jp-brand-color1,var(--vscode-progressBar-background,#2f8fd8))"
LINK = "var(--jp-content-link-color,var(--vscode-textLink-foreground,#2f7fd8))"

MONO = (
    "font-family:monospace;"
    "font-family:var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,Menlo,Consolas,monospace));"
)
SMALL_MONO = f"{MONO}font-size:12.5px;line-height:1.5;"
BOX = f"border:1px solid {GREY};border-color:{LINE};border-radius:6px;"
PRE = (
    f"{SMALL_MONO}margin:0;padding:8px 10px;border:0;border-radius:4px;background:rgba(128,128,128,0.1);"
    "overflow:auto;text-align:left;color:inherit;"
)

CLASS = re.compile(r'(<[a-z][a-z0-9]*(?: [^<>]*)?) class="(mnb-[a-z0-9 -]+)"')


def make_readable(color: str) -> str:
    """Mix a theme's colour with the text's: alone it is too pale for small letters on grey."""
    return f"color-mix(in srgb,{color} 65%,currentcolor)"


STYLES: dict[str, str] = {
    # The padding is for outlines: JupyterLab clips everything outside an output.
    "root": "max-width:100%;margin:0;padding:0 0 0 3px;line-height:1.55;text-align:start;overflow-wrap:break-word;",
    # Formulas can't draw outside; the padding is for the outlines of links.
    "prose": "margin:0 0 0 -3px;padding:0 0 0 3px;overflow-x:auto;overflow-y:hidden;contain:paint;",
    "card": f"{BOX}margin:8px 0;background:rgba(128,128,128,0.04);",
    "card-summary": "cursor:pointer;padding:5px 10px;line-height:22px;",
    "header": "display:inline-flex;gap:8px;width:92%;width:calc(100% - 20px);align-items:baseline;"
    "vertical-align:top;white-space:nowrap;overflow:hidden;",
    "icon": "font-weight:bold;min-width:12px;text-align:center;",
    "name": "font-weight:600;overflow:hidden;text-overflow:ellipsis;",
    "children": f"margin:8px 0 0;padding:0 0 0 12px;border-left:2px solid {GREY};border-left-color:{LINE};",
    "arguments": f"{MONO}font-size:12.5px;opacity:0.75;background:none;background-color:transparent;border:0;padding:0;"
    "color:inherit;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;flex:1 1 0;min-width:0;",
    "aside": "font-size:12px;opacity:0.75;",
    "state": "font-size:12px;",
    "body": f"padding:2px 10px 10px;border-top:1px solid {GREY};border-top-color:{LINE};",
    "label": "margin:8px 0 3px;font-size:11px;letter-spacing:0.4px;opacity:0.75;",
    "code": f"{PRE}white-space:pre;max-height:320px;",
    "wrapped": f"{PRE}white-space:pre-wrap;overflow-wrap:anywhere;max-height:320px;",
    "result": "max-height:400px;overflow:auto;",
    "gap": "height:6px;",
    "image": "max-width:100%;height:auto;background:#ffffff;border-radius:4px;",
    "error": f"{SMALL_MONO}margin:0;padding:7px 10px;border:0;border-left:3px solid #d9413d;border-left-color:{RED};"
    "border-radius:4px;background:rgba(217,65,61,0.1);color:inherit;white-space:pre-wrap;overflow-wrap:anywhere;"
    "max-height:320px;overflow:auto;",
    "fold": "margin:6px 0 0;font-size:13px;",
    "fold-summary": "cursor:pointer;font-size:12px;opacity:0.75;",
    "reasoning": "margin:4px 0 8px;",
    "reasoning-summary": "cursor:pointer;font-size:13px;opacity:0.75;",
    "reasoning-body": f"margin:4px 0 8px 4px;padding:0 0 0 12px;border-left:2px solid {GREY};border-left-color:{LINE};"
    "opacity:0.85;font-size:13px;max-height:400px;overflow:auto;",
    "notice-info": f"margin:8px 0;padding:6px 10px;border-left:3px solid {GREY};border-radius:4px;"
    "background:rgba(128,128,128,0.1);white-space:pre-wrap;overflow-wrap:anywhere;",
    "notice-warning": f"margin:8px 0;padding:6px 10px;border-left:3px solid #d07b16;border-left-color:{ORANGE};"
    "border-radius:4px;background:rgba(208,123,22,0.1);white-space:pre-wrap;overflow-wrap:anywhere;",
    "notice-error": f"margin:8px 0;padding:6px 10px;border-left:3px solid #d9413d;border-left-color:{RED};"
    "border-radius:4px;background:rgba(217,65,61,0.1);white-space:pre-wrap;overflow-wrap:anywhere;",
    "status": "margin:8px 0 2px;font-size:12px;line-height:18px;",
    "plain": "white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 8px;",
    # of Markdown
    "code-box": "margin:6px 0 10px;border-radius:4px;background:rgba(128,128,128,0.1);",
    "language": "padding:4px 10px 0;font-size:11px;line-height:16px;opacity:0.75;",
    "pre": f"{SMALL_MONO}margin:0;padding:6px 10px 8px;border:0;background:none;background-color:transparent;"
    "overflow:auto;text-align:left;color:inherit;white-space:pre;",
    "inline-code": f"{MONO}font-size:0.9em;padding:1px 4px;border-radius:3px;background:rgba(128,128,128,0.15);"
    "color:inherit;",
    "quote": f"margin:6px 0;padding:0 0 0 12px;border-left:3px solid {GREY};border-left-color:{LINE};opacity:0.85;",
    "table-box": "overflow-x:auto;max-width:100%;margin:6px 0 10px;",
    "table": "border-collapse:collapse;margin:0;font-size:13px;",
    "cell": f"border:1px solid {GREY};padding:4px 9px;",
    "head": f"border:1px solid {GREY};padding:4px 9px;font-weight:600;background:rgba(128,128,128,0.1);",
    "link": f"color:{LINK};",
    "task": "list-style-type:none;",
    "start": "text-align:start;",
    "left": "text-align:left;",
    "center": "text-align:center;",
    "right": "text-align:right;",
    # of states
    "good": f"color:#3d9a45;color:{make_readable(GREEN)};",
    "bad": f"color:#d9413d;color:{make_readable(RED)};",
    "wary": f"color:#d07b16;color:{make_readable(ORANGE)};",
    "busy": f"color:#2f8fd8;color:{make_readable(BLUE)};",
    # of code: JupyterLab's variable, VS Code's, and a colour readable on white and on black
    **{
        f"code-{lab}": f"color:{make_readable(f'var(--jp-mirror-editor-{lab}-color,var(--vscode-{vscode},{color}))')};"
        for lab, vscode, color in (
            ("comment", "descriptionForeground", "#7c8590"),
            ("atom", "debugTokenExpression-boolean", "#2f7fd8"),
            ("keyword", "symbolIcon-keywordForeground", "#a650c8"),
            ("def", "symbolIcon-functionForeground", "#2f7fd8"),
            ("builtin", "symbolIcon-functionForeground", "#0f8a7e"),
            ("property", "debugTokenExpression-name", "#2f7fd8"),
            ("attribute", "debugTokenExpression-name", "#0f8a7e"),
            ("meta", "symbolIcon-functionForeground", "#a650c8"),
            ("number", "debugTokenExpression-number", "#0f8a7e"),
            ("string", "debugTokenExpression-string", "#c0562b"),
            ("error", "errorForeground", "#d9413d"),
        )
    },
}


def inline_styles(text: str) -> str:
    """Replace each ``class="mnb-…"`` in our own HTML by the styles of these names.

    Text and other attributes can't contain one, since the characters that close a tag are escaped there.
    """
    return CLASS.sub(lambda match: f'{match[1]} style="{styles_of(match[2])}"', text)


def styles_of(classes: str) -> str:
    """Join the styles of `classes`; unknown names have none."""
    return "".join(STYLES.get(name.removeprefix("mnb-"), "") for name in classes.split())
