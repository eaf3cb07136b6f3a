// The query's text: a plain text area at once, the editor as soon as its chunk is there.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ask } from './api';
import type { Editor } from './editor';
import { history } from './querystate';

const hint = 'Expression, for example rate(http_requests_total[5m])';
export interface ErrorPlace { line: number; column: number }

interface BoxProps {
  value: string; onValue: (v: string) => void; onRun: (v: string) => void; onMetrics: () => void;
  label: string; first: boolean;
  error: ErrorPlace | null;
}

function Plain({ value, onValue, onRun, label, first }: Omit<BoxProps, 'error' | 'onMetrics'>) {
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const b = box.current!;
    b.style.height = 'auto';
    b.style.height = `${Math.min(b.scrollHeight + 2, 320)}px`;
  }, [value]);
  return <textarea ref={box} rows={1} value={value} aria-label={label} placeholder={hint} spellcheck={false}
    autocomplete="off" autocapitalize="off" data-search={first || undefined}
    onInput={(e) => onValue(e.currentTarget.value)}
    onKeyDown={(e) => {
      if (e.key !== 'Enter' || e.shiftKey) return;
      e.preventDefault();
      onRun(box.current!.value);
    }} />;
}

function Rich(p: BoxProps & { make: typeof import('./editor').createEditor; focus: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const last = useRef(p);
  last.current = p;
  const own = useRef<string[]>([]); // texts that came from the editor: never to be put back, it may be ahead of them
  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open', delegatesFocus: true });
    const e = editor.current = p.make(root, { ask, text: p.value, label: p.label, hint,
      onText: (s) => { own.current.push(s); last.current.onValue(s); }, onRun: (s) => last.current.onRun(s) });
    if (p.focus) e.focus();
    return () => e.destroy();
  }, []);
  useEffect(() => {
    const at = own.current.lastIndexOf(p.value);
    if (at >= 0) own.current.splice(0, at + 1);
    else {
      editor.current!.text(p.value); // tells of itself at once
      own.current = [];
    }
  }, [p.value]);
  useEffect(() => editor.current!.error(p.error), [p.error?.line, p.error?.column, p.error]);
  return <div class="editor" ref={host} data-search={p.first || undefined} />;
}

export function QueryBox(p: BoxProps) {
  const [past, setPast] = useState<string[] | null>(null);
  const [make, setMake] = useState<{ it: typeof import('./editor').createEditor }>();
  const focused = useRef(false);
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let live = true;
    void import('./editor').then((m) => {
      focused.current = bar.current?.contains(document.activeElement) ?? false;
      if (live) setMake({ it: m.createEditor });
    }, () => undefined);
    return () => { live = false; };
  }, []);
  const format = () => void ask<string>('format_query', { query: p.value }).then((a) => p.onValue(a.data), () => p.onRun(p.value));
  return <div class="querybox" ref={bar}>
    {make ? <Rich {...p} make={make.it} focus={focused.current} /> : <Plain {...p} />}
    <button type="button" class="quiet" disabled={!p.value.trim()} title="Lay the query out in lines" onClick={format}>Format</button>
    <button type="button" class="quiet" title="Every metric, its help and labels" onClick={p.onMetrics}>Metrics</button>
    <button type="button" class="quiet" aria-expanded={past !== null} onClick={() => setPast(past ? null : history())}>History</button>
    <button type="button" class="primary" onClick={() => p.onRun(p.value)}>Run</button>
    {past && <div class="options"><ul aria-label="Earlier queries">{past.length === 0 && <li class="dim">No query has been run here yet.</li>}
      {past.map((x) => <li key={x}><button type="button" onClick={() => { setPast(null); p.onValue(x); p.onRun(x); }}>
        <code>{x}</code></button></li>)}</ul></div>}
  </div>;
}
