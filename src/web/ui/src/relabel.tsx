// Relabelling, rule by rule: what each made of a target's labels, and which one dropped it.
import { type Labels, usePoll } from './api';
import { LabelList } from './parts';

interface Step { rule: Record<string, unknown>; output: Labels; keep: boolean }

const defaults: Record<string, string> = { separator: ';', replacement: '$1', regex: '(.*)' };

function ruleText(rule: Record<string, unknown>): string {
  const value = (v: unknown) => (Array.isArray(v) ? `[${v.join(', ')}]` : typeof v === 'string' && /^$|[\s:#'"{}[\],&*?|<>=!%@`\\]/.test(v) ? JSON.stringify(v) : String(v));
  return Object.entries(rule).filter(([, v]) => v !== undefined && v !== null && v !== '').filter(([k, v]) => v !== defaults[k]).map(([k, v]) => `${k}: ${value(v)}`).join(', ');
}

function Diff({ before, after }: { before: Labels; after: Labels }) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((k) => before[k] !== after[k]);
  if (!names.length) return <span class="diff dim">nothing changes</span>;
  return <span class="diff">{names.map((k) => <span key={k}>{before[k] !== undefined && <del>{k}={before[k]}</del>}
    {after[k] !== undefined && <ins>{k}={after[k]}</ins>}</span>)}</span>;
}

export function Steps({ pool, before, said = false }: { pool: string; before: Labels; said?: boolean }) {
  const { data, error } = usePoll<{ steps: Step[] }>('targets/relabel_steps', 0, { scrapePool: pool, labels: JSON.stringify(before) });
  return <>{!said && <LabelList labels={before} />}
    {error ? <p class="error">{error.message}</p> : !data ? null : data.steps.length === 0 ? <p class="dim">This pool has no relabelling rules.</p>
      : <ol class="steps" aria-label="Relabelling">{data.steps.map((s, i) => <li key={i}><code>{ruleText(s.rule)}</code>
        {s.keep ? <Diff before={i ? data.steps[i - 1].output : before} after={s.output} /> : <span class="diff bad">drops the target</span>}</li>)}</ol>}</>;
}
