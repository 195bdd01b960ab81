/** What is looked at before a migration changes anything. */
export interface Finding {
  /** What was looked at, in a few words: `version of MSR`. */
  readonly item: string;
  /**
   * `ok`; `note`: worth knowing; `ask`: somebody has to agree; `problem`: it does not begin like that; `unknown`: nobody
   * can say, and it begins all the same.
   */
  readonly is: 'ok' | 'note' | 'ask' | 'problem' | 'unknown';
  /** One sentence: what is so, and where. */
  readonly text: string;
  /** What to do. */
  readonly hint?: string;
}

export interface PreflightCheck {
  readonly item: string;
  /** Item of a check before it: where that found a problem, this one would only say the same again, and is not made. */
  readonly needs?: string;
  /** Ends with the signal. What it throws is a problem. */
  readonly look: (signal: AbortSignal) => Promise<readonly Omit<Finding, 'item'>[]>;
}

export function ok(text: string): Omit<Finding, 'item'> {
  return { is: 'ok', text };
}

export function note(text: string): Omit<Finding, 'item'> {
  return { is: 'note', text };
}

export function problem(text: string, hint: string): Omit<Finding, 'item'> {
  return { is: 'problem', text, hint };
}

const SKEW_MS_NOTED = 60_000;

/** How far another clock is from the one here: noted from a minute on. */
export function skewOf(name: string, aheadMs: number): Omit<Finding, 'item'> {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const text = `the clock of ${name} is ${seconds} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the one here`;
  return Math.abs(aheadMs) >= SKEW_MS_NOTED ? note(text) : ok(text);
}
