// The server's answers and how they are asked for. All addresses are relative: any prefix works.
import { useEffect, useRef, useState } from 'preact/hooks';

export type Labels = Record<string, string>;

export interface Summary {
  version: string; ready: boolean; stopping: boolean; nowMs: number; startMs: number;
  reloadOk: boolean; lastReloadMs: number;
  replay: { min: number; max: number; current: number };
  targets?: { up: number; down: number; unknown: number };
  rules?: { groups: number; rules: number; failing: number; slowGroups: number; pending: number; firing: number };
  tsdb?: { series: number; samplesAppended: number; blocks: number; blocksBytes: number };
}
export interface Delivery {
  receiver: string; route: string; integration: string;
  state: 'waiting' | 'sent' | 'failed' | 'retrying' | 'silenced' | 'inhibited' | 'unrouted';
  at?: number; nextAt?: number; sentAt?: number; attempts?: number; lastError?: string;
}
export interface Alert {
  labels: Labels; annotations: Labels; state: 'pending' | 'firing'; activeAt: string; value: string;
  keepFiringSince?: string; delivery?: Delivery[];
}
export interface LiveAlert extends Alert { fingerprint: string; rule: string; group: string; file: string; holdSeconds: number }
export interface Rule {
  type: 'alerting' | 'recording'; name: string; query: string; health: 'ok' | 'err' | 'unknown'; lastError?: string;
  evaluationTime: number; lastEvaluation: string; labels?: Labels;
  state?: 'inactive' | 'pending' | 'firing' | 'unknown'; duration?: number; keepFiringFor?: number;
  annotations?: Labels; alerts?: Alert[];
}
export interface Group {
  name: string; file: string; rules: Rule[]; interval: number; evaluationTime: number; lastEvaluation: string;
}
export interface Target {
  discoveredLabels: Labels; labels: Labels; scrapePool: string; scrapeUrl: string; globalUrl: string;
  lastError: string; lastScrape: string; lastScrapeDuration: number; health: 'up' | 'down' | 'unknown';
  scrapeInterval: string; scrapeTimeout: string;
}
export interface DroppedTarget { discoveredLabels: Labels; scrapePool: string }
export interface Targets {
  activeTargets: Target[]; droppedTargets: DroppedTarget[]; droppedTargetCounts: Record<string, number> | null;
}
export type Point = [number, string];
export interface Series { metric: Labels; value?: Point; values?: Point[]; histogram?: unknown; histograms?: unknown[] }
export interface QueryData { resultType: 'vector' | 'matrix' | 'scalar' | 'string'; result: Series[] | Point }

export interface Answer<T> { data: T; warnings: string[]; infos: string[] }

export class ApiError extends Error {
  constructor(message: string, readonly type: string, readonly status: number) { super(message); }
}

export async function ask<T>(path: string, params: Record<string, string> = {}, signal?: AbortSignal): Promise<Answer<T>> {
  const text = new URLSearchParams(params).toString();
  const long = text.length > 1500;
  let response: Response;
  try {
    response = await fetch(`api/v1/${path}${text && !long ? `?${text}` : ''}`,
      long ? { method: 'POST', body: new URLSearchParams(params), signal } : { signal });
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e;
    throw new ApiError('The server does not answer.', 'network', 0);
  }
  let body: { status: string; data: T; error?: string; errorType?: string; warnings?: string[]; infos?: string[] };
  try {
    body = await response.json();
  } catch {
    throw new ApiError(response.status === 503 ? 'The server is not ready yet.'
      : `Unexpected answer: HTTP ${response.status}.`, 'http', response.status);
  }
  if (body.status !== 'success') throw new ApiError(body.error ?? 'unknown error', body.errorType ?? '', response.status);
  return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [] };
}

// Changes something on the server. Browsers name the page's origin with it, and the server takes it from its own pages only.
export async function change<T>(path: string, params: Record<string, string>): Promise<T> {
  const response = await fetch(`api/v1/${path}?${new URLSearchParams(params).toString()}`, { method: 'POST' })
    .catch(() => { throw new ApiError('The server does not answer.', 'network', 0); });
  const body = await response.json().catch(() => ({})) as { status?: string; data?: T; error?: string; errorType?: string };
  if (body.status !== 'success') throw new ApiError(body.error ?? `HTTP ${response.status}`, body.errorType ?? '', response.status);
  return body.data as T;
}

export interface Polled<T> { data?: T; error?: ApiError; at: number; again: () => void }

// Asks now and every few seconds, not while the page is hidden; keeps the last answer when one fails, and asks less often for
// what takes long. Without a path nothing is asked.
export function usePoll<T>(path: string, seconds: number, params: Record<string, string> = {}): Polled<T> {
  const [state, setState] = useState<{ data?: T; error?: ApiError; at: number }>({ at: 0 });
  const again = useRef(() => {});
  const key = path + new URLSearchParams(params).toString();
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0, busy = false;
    const run = async () => {
      window.clearTimeout(timer);
      if (!path || busy || document.hidden) return;
      busy = true;
      const begun = performance.now();
      try {
        const a = await ask<T>(path, params, abort.signal);
        if (!abort.signal.aborted) setState({ data: a.data, at: Date.now() });
      } catch (e) {
        if (!abort.signal.aborted) setState((s) => ({ ...s, error: e as ApiError }));
      }
      busy = false;
      if (seconds && !abort.signal.aborted) {
        timer = window.setTimeout(run, Math.max(seconds * 1000, 10 * (performance.now() - begun)));
      }
    };
    again.current = run;
    void run();
    document.addEventListener('visibilitychange', run);
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', run);
    };
  }, [key, seconds]);
  return { ...state, again: () => again.current() };
}
