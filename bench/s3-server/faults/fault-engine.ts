/** Decides which faults befall a request, and counts the ones that took effect. */
import { fromBinary } from '../http/uri.ts';
import type { Route } from '../s3/route.ts';
import type { Fault, FaultKind, FaultRule } from './fault.ts';

type FaultOf<K extends FaultKind> = Extract<Fault, { readonly kind: K }>;

const UNBOUNDED: ReadonlySet<FaultKind> = new Set([
  'latency',
  'bandwidth',
  'request-rate',
  'stale-listing',
  'unordered-listing',
]);

export function timesOf(rule: FaultRule): number {
  if (rule.times !== undefined) return rule.times;
  return UNBOUNDED.has(rule.fault.kind) || rule.probability !== undefined ? Number.POSITIVE_INFINITY : 1;
}

class ActiveRule {
  readonly rule: FaultRule;
  readonly #random: () => number;
  #matched = 0;
  /** Given to requests that are not finished; they come back when they could not take effect. */
  claimed = 0;
  used = 0;
  isRemoved = false;
  /** Of request-rate: what may still pass, and when that was counted. */
  #tokens: number;
  #countedAtMs = 0;

  constructor(rule: FaultRule) {
    this.rule = rule;
    this.#random = seededRandom(rule.seed ?? 1);
    this.#tokens = rule.fault.kind === 'request-rate' ? (rule.fault.burst ?? rule.fault.perSecond) : 0;
  }

  claims(method: string, route: Route, nowMs: number): boolean {
    if (this.isRemoved || this.used + this.claimed >= timesOf(this.rule)) return false;
    if (!this.#matches(method, route)) return false;
    this.#matched += 1;
    if (this.#matched <= (this.rule.skip ?? 0)) return false;
    if (this.rule.probability !== undefined && this.#random() >= this.rule.probability) return false;
    return this.rule.fault.kind !== 'request-rate' || this.#isOverRate(this.rule.fault, nowMs);
  }

  random(): number {
    return this.#random();
  }

  #matches(method: string, route: Route): boolean {
    const { operation, bucket, key, keyPrefix } = this.rule;
    if (this.rule.method !== undefined && this.rule.method !== method) return false;
    if (bucket !== undefined && bucket !== route.bucket) return false;
    if (typeof operation === 'string' && operation !== route.operation) return false;
    if (Array.isArray(operation) && !operation.includes(route.operation)) return false;
    if (key === undefined && keyPrefix === undefined) return true;
    const name = fromBinary(route.key);
    return (key === undefined || key === name) && (keyPrefix === undefined || name.startsWith(keyPrefix));
  }

  #isOverRate(fault: FaultOf<'request-rate'>, nowMs: number): boolean {
    const passed = this.#countedAtMs === 0 ? 0 : (nowMs - this.#countedAtMs) / 1000;
    this.#countedAtMs = nowMs;
    this.#tokens = Math.min(fault.burst ?? fault.perSecond, this.#tokens + passed * fault.perSecond);
    if (this.#tokens < 1) return true;
    this.#tokens -= 1;
    return false;
  }
}

export class FaultEngine {
  #rules: readonly ActiveRule[] = [];
  readonly #byId = new Map<number, readonly ActiveRule[]>();
  #nextId = 1;

  /** @returns the id of the script. */
  install(rules: readonly FaultRule[]): number {
    const active = rules.map((rule) => new ActiveRule(rule));
    const id = this.#nextId++;
    this.#byId.set(id, active);
    this.#rules = [...this.#rules, ...active];
    return id;
  }

  used(id: number): readonly number[] {
    return (this.#byId.get(id) ?? []).map((active) => active.used);
  }

  remove(id: number): void {
    for (const active of this.#byId.get(id) ?? []) active.isRemoved = true;
    this.#rules = this.#rules.filter((active) => !active.isRemoved);
  }

  claim(method: string, route: Route, nowMs: number): RequestFaults {
    if (this.#rules.length === 0) return NO_FAULTS;
    const claimed = this.#rules.filter((active) => active.claims(method, route, nowMs));
    for (const active of claimed) active.claimed += 1;
    return claimed.length === 0 ? NO_FAULTS : new RequestFaults(claimed);
  }
}

/** The faults of one request. Asking for one is free; `use` says that it took effect. */
export class RequestFaults {
  readonly #claims: readonly ActiveRule[];
  readonly #spent = new Set<ActiveRule>();

  constructor(claims: readonly ActiveRule[]) {
    this.#claims = claims;
  }

  get isEmpty(): boolean {
    return this.#claims.length === 0;
  }

  peek<K extends FaultKind>(kind: K): FaultOf<K> | undefined {
    return this.#find(kind)?.rule.fault as FaultOf<K> | undefined;
  }

  use<K extends FaultKind>(kind: K): FaultOf<K> | undefined {
    const active = this.#find(kind);
    if (active && !this.#spent.has(active)) {
      this.#spent.add(active);
      active.claimed -= 1;
      active.used += 1;
    }
    return active?.rule.fault as FaultOf<K> | undefined;
  }

  /** All latencies together, jitter included. */
  useLatencyMs(): number {
    let ms = 0;
    for (const active of this.#claims) {
      if (active.rule.fault.kind !== 'latency' || this.#spent.has(active)) continue;
      ms += active.rule.fault.ms + (active.rule.fault.jitterMs ?? 0) * active.random();
      this.#spent.add(active);
      active.claimed -= 1;
      active.used += 1;
    }
    return ms;
  }

  /** Gives back what could not take effect, such as a flip behind the end of the body. */
  release(): void {
    for (const active of this.#claims) {
      if (this.#spent.has(active)) continue;
      this.#spent.add(active);
      active.claimed -= 1;
    }
  }

  #find(kind: FaultKind): ActiveRule | undefined {
    return this.#claims.find((active) => active.rule.fault.kind === kind);
  }
}

export const NO_FAULTS = new RequestFaults([]);

/** Mulberry32: small, fast and the same everywhere; nothing here needs better randomness. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
