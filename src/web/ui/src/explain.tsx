// What a query costs and where: the tree of its nodes with the rows, samples and time of each.
import { useState } from 'preact/hooks';
import { bytes, count, tookText } from './format';
import { Empty } from './parts';

export interface PlanNode {
  op: string; label: string; expr: string; start: number; end: number; series: number; samples: number;
  timeMs: number; selfMs: number; notes?: string[]; children?: PlanNode[];
}
export interface Explanation {
  query: string; resultType: string; plan: PlanNode;
  totals: { series: number; samples: number; steps: number; peakBytes: number; timeMs: number; planMs: number };
}

interface Flat { node: PlanNode; depth: number; id: number }
function flatten(node: PlanNode, depth = 0, all: Flat[] = []): Flat[] {
  all.push({ node, depth, id: all.length });
  for (const c of node.children ?? []) flatten(c, depth + 1, all);
  return all;
}

// Places in a query are counted in bytes.
function parts(query: string, start: number, end: number): [string, string, string] {
  const raw = new TextEncoder().encode(query), text = (from: number, to?: number) => new TextDecoder().decode(raw.slice(from, to));
  return [text(0, start), text(start, end), text(end)];
}

// The deepest node that came out empty although it had something to work on, or matched nothing at all.
const single = (n: PlanNode) => n.op === 'number' || n.op === 'string';
function emptied(node: PlanNode): PlanNode | undefined {
  if (node.series > 0 || single(node)) return undefined;
  for (const c of node.children ?? []) {
    const below = emptied(c);
    if (below) return below;
  }
  return node;
}

export function Explain({ data, query }: { data: Explanation; query: string }) {
  const [at, setAt] = useState<PlanNode>();
  const rows = flatten(data.plan), t = data.totals, total = Math.max(data.plan.timeMs, 1e-6);
  const [before, marked, after] = parts(query, at?.start ?? 0, at?.end ?? 0);
  const nothing = emptied(data.plan);
  if (!rows.length) return <Empty title="There is nothing to explain." />;
  return <div class="explain">
    <pre class="explained" tabIndex={0} aria-label="Query">{at && at.end > at.start ? <>{before}<mark>{marked}</mark>{after}</> : query}</pre>
    <dl class="tiles small"><div><dt>Series</dt><dd>{count(t.series)}</dd></div><div><dt>Samples</dt><dd>{count(t.samples)}</dd></div>
      <div><dt>Steps</dt><dd>{count(t.steps)}</dd></div><div><dt>Memory</dt><dd>{bytes(t.peakBytes)}</dd></div>
      <div><dt>Time</dt><dd>{tookText(t.timeMs / 1000)}</dd></div><div><dt>of it planning</dt><dd>{tookText(t.planMs / 1000)}</dd></div></dl>
    {nothing && <p class="note warn">Empty because of <code>{nothing.expr}</code>: {(nothing.children ?? []).some((c) => c.series > 0)
      ? 'nothing of its operands is left.' : 'no series matches.'}</p>}
    <div class="scroll" role="region" aria-label="Nodes" tabIndex={0}><table class="grid nodes"><thead><tr><th>Node</th><th>Rows out</th><th>Samples read</th>
      <th>Own time</th><th class="meter"><span class="unseen">Share of the time</span></th><th>With children</th></tr></thead>
      <tbody onMouseLeave={() => setAt(undefined)}>{rows.map(({ node, depth, id }) =>
        <tr key={id} onMouseEnter={() => setAt(node)} class={node === at ? 'at' : undefined}>
          <td class={`d${Math.min(depth, 12)}`}><strong>{node.label || node.op}</strong>
            {node.notes?.map((n) => <span class="node-note" key={n}>{n}</span>)}</td>
          <td class="num">{single(node) ? <span class="dim">{node.op}</span> : count(node.series)}</td><td class="num">{node.samples ? count(node.samples) : ''}</td>
          <td class="num">{tookText(node.selfMs / 1000)}</td>
          <td class="meter"><meter min={0} max={total} value={node.selfMs} aria-label={`${((node.selfMs / total) * 100).toFixed(0)} % of the time`} /></td>
          <td class="num dim">{tookText(node.timeMs / 1000)}</td></tr>)}</tbody></table></div>
  </div>;
}
