/** What came of looking at a goal; a record of its own in the results. */
export interface Verdict {
  /** Undefined: it was not measured. */
  readonly value?: number;
  readonly unit: string;
  /** In words. */
  readonly target: string;
  /** What the machine itself needs, measured in the same run; in the value's unit. */
  readonly floor?: number;
  /** Undefined: it was not measured. */
  readonly isReached?: boolean;
  /** What else there is to know of it. */
  readonly note: string;
}
