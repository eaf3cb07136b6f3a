// The alerts with the rules they come from: from the stream, which tells alerts alone and has their rules asked for
// once in a while, or from the answer that has both.
import { type Alert, type ApiError, type Group, type LiveAlert, type Rule, usePoll } from './api';
import { byText, severityRank } from './format';
import { type Rows, useLive } from './live';

export interface Row { alert: Alert; rule: Rule; group: Group; id: string }

const idOf = (group: Group, a: Alert) => `${group.file};${group.name};${JSON.stringify(a.labels)}`;

export function inOrder(rows: Row[]): Row[] {
  return rows.sort((a, b) => Number(a.alert.state === 'pending') - Number(b.alert.state === 'pending')
    || severityRank(a.alert.labels.severity) - severityRank(b.alert.labels.severity)
    || byText(b.alert.activeAt, a.alert.activeAt) || byText(a.id, b.id));
}

export function rowsOf(groups: Group[]): Row[] {
  return inOrder(groups.flatMap((group) => group.rules.flatMap((rule) =>
    (rule.alerts ?? []).map((alert) => ({ alert, rule, group, id: idOf(group, alert) })))));
}

// Rules of one name tell themselves apart by how long they hold and by their labels, as far as these are no templates.
function ruleOf(group: Group, a: LiveAlert): Rule | undefined {
  const named = group.rules.filter((r) => r.name === a.rule);
  return named.find((r) => (r.duration ?? 0) === a.holdSeconds
    && Object.entries(r.labels ?? {}).every(([k, v]) => v.includes('{{') || (a.labels[k] ?? '') === v)) ?? named[0];
}

function joined(defined: Group[], live: Rows<LiveAlert>): Group[] {
  const groups = defined.map((g) => ({ ...g, rules: g.rules.map((r) => ({ ...r, alerts: [] as Alert[] })) }));
  const byPlace = new Map(groups.map((g) => [`${g.file}\x01${g.name}`, g]));
  for (const a of live.values()) {
    const group = byPlace.get(`${a.file}\x01${a.group}`);
    (group && ruleOf(group, a))?.alerts?.push(a);
  }
  for (const g of groups)
    for (const r of g.rules)
      r.state = r.alerts.some((a) => a.state === 'firing') ? 'firing' : r.alerts.length ? 'pending'
        : r.state === 'unknown' ? 'unknown' : 'inactive';
  return groups;
}

export interface Alerts { groups?: Group[]; error?: ApiError; at: number }

export function useAlerts(): Alerts {
  const live = useLive<Rows<LiveAlert>>('alerts');
  const rules = usePoll<{ groups: Group[] }>('rules', live.off ? 5 : 30,
    live.off ? { type: 'alert' } : { type: 'alert', exclude_alerts: 'true' });
  if (live.off) return { groups: rules.data?.groups, error: rules.error, at: rules.at };
  return { groups: rules.data && live.value && joined(rules.data.groups, live.value), at: live.at };
}
