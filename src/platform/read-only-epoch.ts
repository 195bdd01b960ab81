/**
 * A read-only epoch: a time during which every replica is shown to have taken no write. Final pass, second backup and
 * verification belong to one epoch, and are worth nothing when it broke, or when nobody can show that it did not. Pure:
 * looks go in, each with its time; what may be believed comes out.
 */

/** What one look found of one replica. */
export interface ReplicaLook {
  readonly is: 'read-only' | 'writable' | 'unknown';
  /**
   * Changes whenever the replica restarts or is switched: when it started, or the last job that switched it. Undefined:
   * MSR does not tell, and then nothing is known of the time between two looks that are far apart.
   */
  readonly mark?: string;
}

export interface ReadOnlyLook {
  /** When it began and ended, in milliseconds since 1970. */
  readonly beganMs: number;
  readonly endedMs: number;
  /** By id. Empty: nothing could be read. */
  readonly replicas: Readonly<Record<string, ReplicaLook>>;
  /**
   * The last switch to or from read-only that was asked for, read before the replicas were looked at; empty: none is known.
   * Undefined: nobody tells. Between two looks there may be one to and one fro, which no replica shows.
   */
  readonly lastSwitch?: string;
}

/** As it is kept in a journal: JSON. */
export interface Epoch {
  /** The end of the look that opened it: what began before that is not covered. */
  readonly beganMs: number;
  /** The beginning of the last look that found it open: what ended after that is not covered yet. */
  readonly seenMs: number;
  readonly looks: number;
  readonly replicas: Readonly<Record<string, ReplicaLook>>;
  /** As the look that opened it found it. */
  readonly lastSwitch?: string;
  /** Undefined while it is open. It never opens again: another one does. */
  readonly broke?: { readonly is: 'lost' | 'unknown'; readonly atMs: number; readonly why: string };
}

export interface EpochRules {
  /** Without marks nothing is known of a longer time between two looks. */
  readonly gapMsMax: number;
}

/** @returns the reason as a sentence where this look opens none. */
export function openEpoch(look: ReadOnlyLook): Epoch | string {
  const wrong = breachIn(look);
  if (wrong) return wrong.why;
  const { endedMs, replicas, lastSwitch } = look;
  const opened = { beganMs: endedMs, seenMs: endedMs, looks: 1, replicas };
  return lastSwitch === undefined ? opened : { ...opened, lastSwitch };
}

/** The epoch as this look leaves it. One that broke stays as it is. */
export function afterLook(epoch: Epoch, look: ReadOnlyLook, { gapMsMax }: EpochRules): Epoch {
  if (epoch.broke) return epoch;
  const breach = breachIn(look) ?? breachBetween(epoch, look, gapMsMax);
  if (breach) return { ...epoch, broke: { ...breach, atMs: look.endedMs } };
  return { ...epoch, seenMs: look.beganMs, looks: epoch.looks + 1, replicas: look.replicas };
}

type Breach = Omit<NonNullable<Epoch['broke']>, 'atMs'>;

function breachIn({ replicas }: ReadOnlyLook): Breach | undefined {
  const found = Object.entries(replicas);
  if (found.length === 0) return { is: 'unknown', why: 'the state of the replicas could not be read' };
  const writable = found.find(([, { is }]) => is === 'writable');
  if (writable) return { is: 'lost', why: `replica ${writable[0]} takes writes` };
  const unknown = found.find(([, { is }]) => is === 'unknown');
  return unknown && { is: 'unknown', why: `whether replica ${unknown[0]} is read-only is not known` };
}

function breachBetween(epoch: Epoch, look: ReadOnlyLook, gapMsMax: number): Breach | undefined {
  if (epoch.lastSwitch !== undefined && epoch.lastSwitch !== look.lastSwitch) {
    return { is: 'unknown', why: 'it was switched meanwhile: there is a newer job ro_registry' };
  }
  const ids = new Set([...Object.keys(epoch.replicas), ...Object.keys(look.replicas)]);
  const gapMs = look.beganMs - epoch.seenMs;
  // A clock that was set back says nothing about how long nobody looked.
  const isGap = gapMs > gapMsMax || gapMs < 0;
  for (const id of [...ids].sort()) {
    const before = replicaIn(epoch.replicas, id);
    const now = replicaIn(look.replicas, id);
    if (!now) return { is: 'unknown', why: `replica ${id} is gone` };
    if (!before) return { is: 'unknown', why: `replica ${id} is new, and may have taken writes before` };
    if (before.mark !== now.mark) return { is: 'unknown', why: `replica ${id} was restarted or switched` };
    if (isGap && now.mark === undefined) return { is: 'unknown', why: gapText(gapMs) };
  }
  return undefined;
}

function replicaIn(replicas: Readonly<Record<string, ReplicaLook>>, id: string): ReplicaLook | undefined {
  return Object.hasOwn(replicas, id) ? replicas[id] : undefined;
}

function gapText(gapMs: number): string {
  return gapMs < 0
    ? 'the clock was set back, so nobody knows how long it went unwatched'
    : `nobody looked for ${Math.round(gapMs / 1000)} s, and nothing shows that it held meanwhile`;
}
