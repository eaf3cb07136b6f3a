// The query editor: CodeMirror with PromQL's words, in a chunk of its own. It lives in a shadow root, where its styles
// are constructed sheets: the page's policy allows no style elements.
import { type Completion, type CompletionContext, type CompletionResult, acceptCompletion, autocompletion, closeBrackets,
  closeBracketsKeymap, completionStatus, moveCompletionSelection, selectedCompletionIndex, currentCompletions }
  from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { HighlightStyle, StreamLanguage, type StringStream, bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { EditorState, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags as t } from '@lezer/highlight';
import type { ask } from './api';
import { type Option, best, candidates, functions, helpOf, placeOf, useServer, words } from './promql';

interface State { brace: boolean; list: boolean; after: string }

// One token; the names are those of StreamLanguage's table.
function token(s: StringStream, st: State): string | null {
  if (s.eatSpace()) return null;
  if (s.match(/^#.*/)) return 'comment';
  if (s.match(/^(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?)/)) return 'string';
  if (s.match(/^(?:0x[\da-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|inf\b|nan\b)(?:ms|[smhdwy])?(?:\d+(?:ms|[smhdwy]))*/i)) return 'number';
  const word = s.match(/^[a-zA-Z_:][\w:]*/) as RegExpMatchArray | null;
  if (word) {
    const lower = word[0].toLowerCase();
    st.after = lower;
    if (st.brace || st.list) return 'propertyName';
    if (words.includes(lower)) return 'keyword';
    return functions.has(lower) && s.match(/^\s*(?:\(|by\b|without\b)/i, false) ? 'typeName' : 'variableName';
  }
  const c = s.next()!;
  if (c === '{') st.brace = true;
  if (c === '}') st.brace = false;
  if (c === '(') st.list = /^(by|without|on|ignoring|group_left|group_right)$/.test(st.after);
  if (c === ')') st.list = false;
  st.after = '';
  return '{}()[],'.includes(c) ? 'punctuation' : 'operator';
}

const promql = StreamLanguage.define<State>({ name: 'promql', token,
  startState: () => ({ brace: false, list: false, after: '' }), copyState: (s) => ({ ...s }),
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"', "'", '`'] } } });

const colours = HighlightStyle.define([
  { tag: t.comment, color: 'var(--dim)', fontStyle: 'italic' }, { tag: t.string, color: 'var(--q-string)' },
  { tag: t.number, color: 'var(--q-number)' }, { tag: t.keyword, color: 'var(--q-word)' },
  { tag: t.typeName, color: 'var(--q-function)' }, { tag: t.propertyName, color: 'var(--q-label)' },
  { tag: [t.punctuation, t.operator], color: 'var(--dim)' }]);

const theme = EditorView.theme({
  '&': { fontSize: '13px', color: 'var(--fg)', background: 'transparent', maxHeight: '320px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px', overflow: 'auto' },
  '.cm-content': { padding: '6px 4px', caretColor: 'var(--fg)' },
  '.cm-placeholder': { color: 'var(--dim)' },
  '.cm-cursor': { borderLeftColor: 'var(--fg)' },
  '&.cm-focused .cm-matchingBracket': { background: 'var(--accent-soft)', outline: '1px solid var(--accent)' },
  '&.cm-focused .cm-nonmatchingBracket': { background: 'var(--bad-soft)' },
  '.cm-error': { textDecoration: 'underline wavy var(--bad)', textUnderlineOffset: '3px', background: 'var(--bad-soft)' },
  '.cm-tooltip': { background: 'var(--raised)', color: 'var(--fg)', border: '1px solid var(--line)', borderRadius: '8px', boxShadow: 'var(--shadow)', overflow: 'hidden', zIndex: 40 },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12.5px', maxHeight: '290px', minWidth: '260px', padding: '4px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px', borderRadius: '5px', display: 'flex', gap: '14px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--accent-soft)', color: 'var(--fg)' },
  '.cm-completionLabel': { flex: '1', overflowWrap: 'anywhere', whiteSpace: 'normal' },
  '.cm-completionDetail': { fontFamily: 'var(--sans)', fontStyle: 'normal', color: 'var(--dim)', marginLeft: '0' },
  '.cm-tooltip.cm-completionInfo': { padding: '7px 12px', maxWidth: '340px', fontFamily: 'var(--sans)', fontSize: '12.5px' },
});

function info(o: Option): Completion['info'] {
  const box = (text: string, head = '') => {
    const div = document.createElement('div');
    if (head) {
      const code = document.createElement('code');
      code.textContent = head;
      div.append(code, document.createElement('br'));
    }
    div.append(text);
    return div;
  };
  if (o.kind === 'function') return () => { const f = functions.get(o.text)!; return box(f.help, f.signature); };
  return o.kind === 'metric' ? () => helpOf(o.text).then((h) => (h ? box(h) : null)) : undefined;
}

function insert(view: EditorView, o: Option, from: number, to: number) {
  let text = o.text;
  if (o.kind === 'value') text = text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n');
  if ((o.kind === 'metric' || o.kind === 'label') && !/^[a-zA-Z_:][\w:]*$/.test(text))
    text = o.kind === 'metric' ? `{${JSON.stringify(text)}}` : JSON.stringify(text);
  const call = o.kind === 'function' && view.state.sliceDoc(to, to + 1) !== '(';
  view.dispatch({ changes: { from, to, insert: call ? `${text}()` : text }, userEvent: 'input.complete',
    selection: { anchor: from + text.length + (call ? 1 : 0) } });
}

async function source(c: CompletionContext): Promise<CompletionResult | null> {
  const place = placeOf(c.state.doc.toString(), c.pos);
  if (!place || (!c.explicit && place.kind === 'any' && place.word.length < 2)) return null;
  const found = best(await candidates(place), place.word);
  if (c.aborted || (found.length === 1 && found[0].text === place.word)) return null;
  return { from: place.start, filter: false, options: found.map((o) => ({ label: o.text, detail: o.kind, info: info(o),
    apply: (view, _c, from, to) => insert(view, o, from, to) })) };
}

const setError = StateEffect.define<{ from: number; to: number } | null>();
const errorMark = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, tr) {
    marks = tr.docChanged ? Decoration.none : marks;
    for (const e of tr.effects)
      if (e.is(setError)) marks = e.value ? Decoration.set(Decoration.mark({ class: 'cm-error' }).range(e.value.from, e.value.to)) : Decoration.none;
    return marks;
  },
  provide: (f) => EditorView.decorations.from(f),
});

export interface Editor {
  text(value: string): void;
  error(at: { line: number; column: number } | null): void;
  focus(): void;
  destroy(): void;
}

export function createEditor(parent: ShadowRoot, o: { ask: typeof ask; text: string; label: string; hint: string;
  onText: (s: string) => void; onRun: (s: string) => void }): Editor {
  useServer(o.ask);
  const takeFirst = (view: EditorView) => {
    if (completionStatus(view.state) !== 'active' || !currentCompletions(view.state).length) return false;
    if (selectedCompletionIndex(view.state) === null || selectedCompletionIndex(view.state)! < 0) moveCompletionSelection(true)(view);
    return acceptCompletion(view);
  };
  const run = (view: EditorView) => { o.onRun(view.state.doc.toString()); return true; };
  const view = new EditorView({ parent, root: parent, state: EditorState.create({ doc: o.text, extensions: [
    history(), closeBrackets(), bracketMatching(), promql, syntaxHighlighting(colours), theme, errorMark,
    EditorView.lineWrapping, placeholder(o.hint),
    EditorView.contentAttributes.of({ 'aria-label': o.label, spellcheck: 'false', autocapitalize: 'off' }),
    autocompletion({ override: [source], selectOnOpen: false, icons: false, interactionDelay: 0, maxRenderedOptions: 50 }),
    keymap.of([{ key: 'Tab', run: takeFirst }, { key: 'Enter', run }, { key: 'Mod-Enter', run },
      { key: 'Shift-Enter', run: insertNewlineAndIndent }, ...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap]),
    EditorView.updateListener.of((u) => { if (u.docChanged) o.onText(u.state.doc.toString()); }),
  ] }) });
  return {
    text: (value) => {
      const old = view.state.doc.toString();
      if (value !== old) view.dispatch({ changes: { from: 0, to: old.length, insert: value }, selection: { anchor: value.length } });
    },
    error: (at) => {
      if (!at || at.line > view.state.doc.lines) return view.dispatch({ effects: setError.of(null) });
      const line = view.state.doc.line(at.line), from = Math.min(line.from + at.column - 1, line.to);
      const rest = /^(?:[\w:]+|.)/.exec(view.state.sliceDoc(from, line.to))?.[0].length ?? 0;
      const start = rest ? from : Math.max(line.from, from - 1);
      view.dispatch({ effects: setError.of(rest || start < from ? { from: start, to: rest ? from + rest : from } : null) });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
