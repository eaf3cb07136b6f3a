// The words of PromQL with what they do, where in a query the caret stands, and what fits there. Part of the editor's
// chunk: the first page does not load it.
import type { ask as Ask } from './api';

// Given by the page: an import would make a chunk of what both share, and cost the first page requests.
let ask: typeof Ask;
export const useServer = (f: typeof Ask) => { ask = f; };

// name(arguments) and a sentence; a line each.
const described = `
abs(v)|Each value without its sign.
absent(v)|1 when the vector is empty, else nothing: for alerts on what went missing.
absent_over_time(range)|1 when no series has a sample in the range, else nothing.
acos(v)|Arc cosine of each value.
acosh(v)|Inverse hyperbolic cosine.
asin(v)|Arc sine of each value.
asinh(v)|Inverse hyperbolic sine.
atan(v)|Arc tangent of each value.
atanh(v)|Inverse hyperbolic tangent.
avg_over_time(range)|Mean of each series' samples in the range.
ceil(v)|Each value rounded up.
changes(range)|How often each series' value changed in the range.
clamp(v, min, max)|Each value kept between min and max.
clamp_max(v, max)|Each value, at most max.
clamp_min(v, min)|Each value, at least min.
cos(v)|Cosine, of radians.
cosh(v)|Hyperbolic cosine.
count_over_time(range)|How many samples each series has in the range.
day_of_month(v)|Day of the month, 1 to 31, UTC, of times in seconds; of now without an argument.
day_of_week(v)|Day of the week, 0 (Sunday) to 6, UTC.
day_of_year(v)|Day of the year, 1 to 366, UTC.
days_in_month(v)|How many days the month has, UTC.
deg(v)|Radians to degrees.
delta(range)|Difference between the range's end and start, of a gauge; stretched to the range's edges.
deriv(range)|Slope a second by linear regression, of a gauge.
double_exponential_smoothing(range, level, trend)|Smoothed value of a gauge; both factors between 0 and 1. Experimental.
end()|End of the query's range, in seconds. Experimental.
exp(v)|e to the power of each value.
first_over_time(range)|The oldest sample of each series in the range. Experimental in Prometheus.
floor(v)|Each value rounded down.
histogram_avg(v)|Mean of the observations of native histograms.
histogram_count(v)|Number of observations of native histograms.
histogram_fraction(lower, upper, v)|Share of the observations that lie between two values.
histogram_quantile(quantile, v)|Value below which that share of the observations lies; v has buckets: rate(x_bucket[5m]) with le, or native histograms.
histogram_quantiles(v, label, quantile, ...)|Several quantiles at once, told apart by the label. Experimental.
histogram_stddev(v)|Estimated standard deviation of the observations.
histogram_stdvar(v)|Estimated variance of the observations.
histogram_sum(v)|Sum of the observations of native histograms.
hour(v)|Hour of the day, 0 to 23, UTC.
idelta(range)|Difference of the last two samples, of a gauge.
increase(range)|How much a counter grew over the range; resets are seen through.
info(v, selector)|Adds the labels of info metrics such as target_info. Experimental.
irate(range)|Rate a second from the last two samples, of a counter.
label_join(v, to, separator, from, ...)|Sets a label to the values of others, joined.
label_replace(v, to, replacement, from, regex)|Sets a label from another where the regex matches all of it.
last_over_time(range)|The newest sample of each series in the range.
ln(v)|Natural logarithm.
log10(v)|Logarithm to base 10.
log2(v)|Logarithm to base 2.
mad_over_time(range)|Median absolute deviation in the range. Experimental.
max_of(a, b)|The larger of two scalars. Experimental.
max_over_time(range)|The largest value of each series in the range.
min_of(a, b)|The smaller of two scalars. Experimental.
min_over_time(range)|The smallest value of each series in the range.
minute(v)|Minute of the hour, 0 to 59.
month(v)|Month, 1 to 12, UTC.
pi()|The number pi.
predict_linear(range, seconds)|Value of a gauge that many seconds from now, by linear regression.
present_over_time(range)|1 for each series with a sample in the range.
quantile_over_time(quantile, range)|Quantile of each series' samples in the range.
rad(v)|Degrees to radians.
range()|Length of the query's range in seconds. Experimental.
rate(range)|Rate a second, averaged over the range, of a counter; resets are seen through.
resets(range)|How often a counter started anew in the range.
round(v, to)|Each value rounded to the nearest multiple of to, or to whole numbers.
scalar(v)|The value of a vector with one series as a scalar, else NaN.
sgn(v)|1, 0 or -1 by the sign.
sin(v)|Sine, of radians.
sinh(v)|Hyperbolic sine.
sort(v)|Smallest first; instant queries only.
sort_by_label(v, label, ...)|Ordered by labels; instant queries only. Experimental.
sort_by_label_desc(v, label, ...)|Ordered by labels, last first. Experimental.
sort_desc(v)|Largest first; instant queries only.
sqrt(v)|Square root.
start()|Start of the query's range, in seconds. Experimental.
start_timestamp(v)|When each series' counter began. Experimental.
stddev_over_time(range)|Standard deviation of each series' samples in the range.
stdvar_over_time(range)|Variance of each series' samples in the range.
step()|Step of the query in seconds. Experimental.
sum_over_time(range)|Sum of each series' samples in the range.
tan(v)|Tangent, of radians.
tanh(v)|Hyperbolic tangent.
time()|The moment of evaluation, in seconds since 1970.
timestamp(v)|When each sample was taken, in seconds since 1970.
ts_of_first_over_time(range)|When the oldest sample in the range was taken. Experimental.
ts_of_last_over_time(range)|When the newest sample in the range was taken. Experimental.
ts_of_max_over_time(range)|When the largest sample was taken. Experimental.
ts_of_min_over_time(range)|When the smallest sample was taken. Experimental.
vector(scalar)|A vector with one series without labels.
year(v)|Year, UTC.
avg(v) by (labels)|Mean over series.
bottomk(k, v) by (labels)|The k smallest series of each group.
count(v) by (labels)|Number of series.
count_values(label, v)|Number of series for each value; the value becomes a label.
group(v) by (labels)|1 for each group.
limit_ratio(share, v)|About that share of the series. Experimental.
limitk(k, v)|Any k series of each group. Experimental.
max(v) by (labels)|Largest value over series.
min(v) by (labels)|Smallest value over series.
quantile(quantile, v) by (labels)|Quantile over series.
stddev(v) by (labels)|Standard deviation over series.
stdvar(v) by (labels)|Variance over series.
sum(v) by (labels)|Sum over series.
topk(k, v) by (labels)|The k largest series of each group.`;

export const functions = new Map<string, { signature: string; help: string }>();
for (const line of described.trim().split('\n')) {
  const [signature, help] = line.split('|');
  functions.set(signature.slice(0, signature.indexOf('(')), { signature, help });
}
export const words = 'and atan2 bool by group_left group_right ignoring offset on or unless without'.split(' ');

export interface Option { text: string; kind: 'metric' | 'function' | 'word' | 'label' | 'value' }
export interface Place { kind: 'any' | 'label' | 'value'; start: number; word: string; label?: string; scope?: string }

// Where the caret is: in a string that is a label's value, among label names, or anywhere else; null where nothing is
// to be said: in comments, other strings, numbers and ranges.
export function placeOf(text: string, caret: number): Place | null {
  let quote = '', quoteAt = 0, brace = -1, labelList = false;
  for (let i = 0; i < caret; i++) {
    const c = text[i];
    if (quote) {
      if (c === '\\' && quote !== '`') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') { quote = c; quoteAt = i; }
    else if (c === '{') brace = i;
    else if (c === '}') brace = -1;
    else if (c === '(') labelList = /\b(by|without|on|ignoring|group_left|group_right)\s*$/i.test(text.slice(0, i));
    else if (c === ')') labelList = false;
    else if (c === '#') { const end = text.indexOf('\n', i); if (end < 0 || end >= caret) return null; i = end; }
  }
  const before = text.slice(0, caret);
  if (quote) {
    const label = brace >= 0 ? /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*$/.exec(text.slice(0, quoteAt))?.[1] : undefined;
    return label ? { kind: 'value', start: quoteAt + 1, word: before.slice(quoteAt + 1), label, scope: scopeOf(text, brace, quoteAt) } : null;
  }
  const word = /[a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? '';
  if (brace >= 0) return { kind: 'label', start: caret - word.length, word, scope: scopeOf(text, brace, caret - word.length) };
  if (labelList) return { kind: 'label', start: caret - word.length, word, scope: /([a-zA-Z_:][\w:]*)\s*[{[]/.exec(text)?.[1] };
  return /[\d.\])]$/.test(before) || /\[[^\]]*$/.test(before) ? null : { kind: 'any', start: caret - word.length, word };
}

// The selector as far as it is whole: the metric and the matchers that stand before; what fits there narrows the rest.
function scopeOf(text: string, brace: number, upTo: number): string | undefined {
  const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(text.slice(0, brace))?.[1] ?? '';
  const whole = text.slice(brace + 1, upTo).match(/[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/g);
  const matchers = (whole ?? []).filter((m) => !/""$|''$/.test(m)).join(',');
  return metric || matchers ? `${metric}{${matchers}}` : undefined;
}

const lists = new Map<string, { at: number; list: Promise<string[]> }>();
function listOf(path: string, params: Record<string, string> = {}): Promise<string[]> {
  const key = path + JSON.stringify(params), had = lists.get(key);
  if (had && Date.now() - had.at < 60000) return had.list;
  if (lists.size > 200) lists.clear();
  const list = ask<string[]>(path, { limit: '50000', ...params }).then((a) => a.data, () => []);
  lists.set(key, { at: Date.now(), list });
  return list;
}

export async function candidates(p: Place): Promise<Option[]> {
  const scope: Record<string, string> = p.scope ? { 'match[]': p.scope } : {};
  if (p.kind === 'label') return (await listOf('labels', scope)).map((text) => ({ text, kind: 'label' }));
  if (p.kind === 'value')
    return (await listOf(`label/${encodeURIComponent(p.label!)}/values`, scope)).map((text) => ({ text, kind: 'value' }));
  const metrics = await listOf('label/__name__/values');
  return [...metrics.map((text): Option => ({ text, kind: 'metric' })),
    ...[...functions.keys()].map((text): Option => ({ text, kind: 'function' })),
    ...words.map((text): Option => ({ text, kind: 'word' }))];
}

// What starts with the word first, then what contains it, then what has its letters in order.
export function best(all: Option[], word: string): Option[] {
  const w = word.toLowerCase(), found: [number, Option][] = [];
  for (const o of all) {
    const t = o.text.toLowerCase(), at = t.indexOf(w);
    const order = o.kind === 'function' ? -500 : 0; // rate before rate_of_something
    if (at >= 0) found.push([(at === 0 ? 0 : t[at - 1] === '_' ? 1 : 2) * 1000 + t.length + (at === 0 ? order : 0), o]);
    else if (w.length > 2) {
      let i = 0;
      for (const c of t) if (c === w[i]) i++;
      if (i === w.length) found.push([3000 + t.length, o]);
    }
  }
  return found.sort((a, b) => a[0] - b[0] || a[1].text.localeCompare(b[1].text)).slice(0, 50).map((x) => x[1]);
}

const helps = new Map<string, Promise<string>>();
export function helpOf(metric: string): Promise<string> {
  let h = helps.get(metric);
  if (!h) {
    const family = metric.replace(/_(bucket|count|sum|total|created)$/, '');
    const one = (name: string) => ask<Record<string, { type: string; help: string }[]>>('metadata', { metric: name }).then((a) => {
      const m = a.data[name]?.[0];
      return m ? `${m.type} · ${m.help}` : '';
    }, () => '');
    h = one(metric).then((text) => text || (family !== metric ? one(family) : ''));
    helps.set(metric, h);
  }
  return h;
}
