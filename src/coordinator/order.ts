/** What a migration asks of a pass beyond what a copy by hand does; it has looked for objects in archives by itself. */
import type { WrittenPlace } from '../copy/written-keys.ts';

export interface PassOrder {
  /** 12 hex digits, another one for each pass: names what it leaves in the target while it runs. */
  readonly runId: string;
  /** The read-only epoch that it belongs to, for whoever reads the journal. No pass goes on from where another one was. */
  readonly epoch?: string;
  readonly written: WrittenPlace;
  /** What an earlier pass of this job saw the target refuse is taken for true, and not asked again. */
  readonly knowsTarget: boolean;
  /** So many damaged objects of a frozen source are known and let be: what only the target has is removed all the same. */
  readonly damageMax?: number;
}
