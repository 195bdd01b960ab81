/** What a migration is made of. Nothing here knows a registry: what a step does is its own. */
import type { Json } from './saga-log.ts';

/**
 * `read`: changes nothing of the registry, so there is nothing to undo; a copy into the target is one too.
 * `reversible`: can be taken back. `forward`: cannot; once one was begun, nothing is undone by itself any more.
 */
export type StepKind = 'read' | 'reversible' | 'forward';

/** What is so before the step does anything. */
export type Checked =
  /**
   * `isUntouched`, of a forward step that was begun: nothing at all has come of it, things are as before. What it rests on
   * has to hold for it then, as it had when it was begun.
   */
  | { readonly is: 'todo'; readonly isUntouched?: true }
  /** By somebody else, or by an earlier run: it is not done again, and where it was not ours it is not undone. */
  | { readonly is: 'done' }
  /** It cannot or must not be done as things are. */
  | { readonly is: 'blocked'; readonly why: string; readonly hint?: string };

export type Effect =
  | { readonly is: 'shown'; readonly evidence: string }
  | { readonly is: 'missing'; readonly why: string; readonly hint?: string };

/** Has the effect of a step held without a break since it was shown? `unknown` counts as a break. */
export type Held =
  | { readonly is: 'held' }
  | { readonly is: 'lost'; readonly why: string }
  | { readonly is: 'unknown'; readonly why: string };

/** How a person goes on from here by hand: commands and sentences, one each, no secrets. */
export interface Ways {
  readonly forward: readonly string[];
  readonly back: readonly string[];
}

/** What a step keeps in the journal. Never a secret: keeping one throws. */
export interface StepMemory {
  get(name: string): Json | undefined;
  /** Durable when it returns. Forgotten when the step starts anew. */
  keep(name: string, value: Json): void;
  /**
   * What was so before the step changed it, which its undo brings back: the first value of a run stays.
   * @returns the value that counts.
   */
  keepFirst(name: string, value: Json): Json;
}

export interface StepContext {
  /** Aborts when the user stops the run; every phase must end soon then, by rejecting with its reason. */
  readonly signal: AbortSignal;
  /** 12 hex digits, the same until the run is done or undone: for names such as those of containers. */
  readonly run: string;
  /** 1, and one more each time that the step had to start anew: what an earlier attempt made does not count. */
  readonly attempt: number;
  /** A look at what an earlier run has begun: nothing is waited for, as it may never have been sent. */
  readonly isGlance: boolean;
  readonly memory: StepMemory;
  /** What another step has kept. */
  memoryOf(step: string): Pick<StepMemory, 'get'>;
  /** Looks whether the effect of another step holds, for whatever rests on it: again and again while it works. */
  heldOf(step: string): Promise<Held>;
}

export interface Step {
  /** Small letters, digits and dashes; stays the same over versions, as journals name it. */
  readonly id: string;
  /** `Switch the registry to read-only`. */
  readonly title: string;
  /** What it changes, in a sentence for whoever is asked. */
  readonly changes: string;
  readonly kind: StepKind;
  /** Left out by `--start-at` behind it, as nothing depends on it (a live pass). `read` alone. */
  readonly isOptional?: true;
  /**
   * Steps before this one whose effect must hold without a break from before this one began until the first forward
   * step: a final pass is worth nothing once read-only was lifted. When it broke, this one starts anew.
   */
  readonly restsOn?: readonly string[];

  check(ctx: StepContext): Promise<Checked>;
  /**
   * Called only after `check` has said `todo`. A call that was sent and not answered is for `effect` to judge.
   * @throws Error when it failed, or may have: what is so is for `effect` to say.
   */
  do(ctx: StepContext): Promise<void>;
  /** Waits, where what was done takes time. Called for what others have done too. */
  effect(ctx: StepContext): Promise<Effect>;
  /** For steps that others rest on; default: the effect is still shown. */
  held?(ctx: StepContext): Promise<Held>;

  /**
   * `reversible` alone. Says what shall be so (never "toggle"), as it may be called again after a kill, and is called
   * whenever `do` was begun: a call that got no answer may act as late as it likes.
   */
  undo?(ctx: StepContext): Promise<void>;
  /** Is it as it was before? */
  undone?(ctx: StepContext): Promise<Effect>;
  ways?(ctx: StepContext): Ways;
}
