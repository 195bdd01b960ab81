/** How the stand-in misbehaves on request: a rule says whom it befalls, how often, and what happens. */
export interface Fault {
  /** `POST /api/v0/jobs`, with `*` for a path part; or an expression for `METHOD /path`. */
  readonly on: string | RegExp;
  /** Default 1. */
  readonly times?: number;
  /** So many calls are let through first. */
  readonly skip?: number;
  readonly does:
    | { readonly kind: 'answer'; readonly status: number; readonly json?: unknown; readonly text?: string }
    /** Keeps silent until the client gives up. */
    | { readonly kind: 'hang' }
    /** Closes the connection without an answer, and does nothing. */
    | { readonly kind: 'reset' }
    /** Does what was asked and closes the connection without an answer. */
    | { readonly kind: 'lost-reply' }
    | { readonly kind: 'delay'; readonly ms: number }
    /** Says that it was done, and does nothing. */
    | { readonly kind: 'no-effect'; readonly status: number };
}

export class Faults {
  readonly #rules: { readonly fault: Fault; skipped: number; used: number }[] = [];

  /** @returns how often it took effect. */
  add(fault: Fault): () => number {
    const rule = { fault, skipped: 0, used: 0 };
    this.#rules.push(rule);
    return () => rule.used;
  }

  clear(): void {
    this.#rules.length = 0;
  }

  take(call: string): Fault['does'] | undefined {
    for (const rule of this.#rules) {
      const { fault } = rule;
      if (rule.used >= (fault.times ?? 1) || !isMatch(fault.on, call)) continue;
      if (rule.skipped < (fault.skip ?? 0)) {
        rule.skipped += 1;
        continue;
      }
      rule.used += 1;
      return fault.does;
    }
    return undefined;
  }
}

function isMatch(on: string | RegExp, call: string): boolean {
  if (on instanceof RegExp) return on.test(call);
  const parts = on.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]+')}$`).test(call);
}
