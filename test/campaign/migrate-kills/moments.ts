/** Moments of a migration at which it can be killed, found by watching one that nobody kills. */
import type { Random } from '../random.ts';

/** `before`: nothing was done. `in`: a call is under way. `behind`: it was done, and has yet to be seen or gone on from. */
type Place = 'before' | 'in' | 'behind';

export interface Moment {
  readonly step: string;
  readonly place: Place;
  /** Phase of the step: `do`, `effect`, `undo` … */
  readonly phase: string;
  /**
   * `line`: as the journal has it, and from then on nothing of the program's comes through. `asked`: a call never arrives.
   * `acting`: a container runs on while nobody waits for it. `answered`: a call was carried out, and nobody heard.
   */
  readonly when: 'line' | 'asked' | 'acting' | 'answered';
  /** The journal's word, or the call. */
  readonly what: string;
  /** So many of the same in the same phase come first. */
  readonly skip: number;
}

/** What was seen of one step: its entries in the journal, and its calls. */
export interface SeenCall {
  readonly step: string;
  readonly phase: string;
  /** A phase may be come to more than once. */
  readonly visit: number;
  readonly call: string;
  readonly isChange: boolean;
}

export interface Seen {
  /** `step` and the journal's word, in their order. */
  readonly lines: readonly (readonly [step: string, what: string])[];
  readonly calls: readonly SeenCall[];
}

/** On the way to the new storage, and on the way back. */
export type Direction = 'forth' | 'back';

const PHASES: Readonly<Record<Direction, readonly string[]>> = {
  forth: ['check', 'do', 'effect', 'held'],
  back: ['undo', 'undone'],
};
/** Between two entries of which only one is here nothing happens. */
const BEFORE: Readonly<Record<Direction, readonly string[]>> = {
  forth: ['check-begun', 'do-begun'],
  back: ['undo-begun'],
};
const BEHIND: Readonly<Record<Direction, readonly string[]>> = {
  forth: ['do-ended', 'effect-shown'],
  back: ['undo-ended', 'undone-shown'],
};
/** Of each step and phase. */
const CHANGES_MAX = 2;

export function nameOf({ step, phase, when, what, skip }: Moment): string {
  const at = when === 'line' ? '' : ` in ${phase}, ${when}${skip === 0 ? '' : ` (${skip + 1})`}`;
  return `${step}: ${what}${at}`;
}

/**
 * In the order in which a run comes to them: the entries of each step, some of the calls that change something, and one of
 * those that only look.
 * @param isWanted steps that are of interest.
 */
export function momentsOf(
  seen: Seen,
  direction: Direction,
  random: Random,
  isWanted: (step: string) => boolean,
): readonly Moment[] {
  const words = [...BEFORE[direction], ...BEHIND[direction]];
  const lines = seen.lines.filter(([step, what]) => isWanted(step) && words.includes(what));
  return [...new Set(lines.map(([step]) => step))].flatMap((step) => {
    const said = new Set(lines.filter(([of]) => of === step).map(([, what]) => what));
    const at = (place: Place, known: readonly string[]): readonly Moment[] =>
      known
        .filter((word) => said.has(word))
        .map((what) => ({ step, place, phase: '', when: 'line', what, skip: 0 }));
    const calls = seen.calls.filter((call) => call.step === step && PHASES[direction].includes(call.phase));
    return [
      ...at('before', BEFORE[direction]),
      ...callsOf(calls, random),
      ...at('behind', BEHIND[direction]),
    ];
  });
}

function callsOf(calls: readonly SeenCall[], random: Random): readonly Moment[] {
  const phases = [...new Set(calls.map(({ phase }) => phase))].map((phase) => {
    const visit = calls.find((call) => call.phase === phase)?.visit;
    return calls.filter((call) => call.phase === phase && call.visit === visit);
  });
  const looks = phases.flat().filter(({ isChange }) => !isChange);
  const look = looks.length > 0 ? random.pick(looks) : undefined;
  return phases.flatMap((inPhase) => {
    const changes = inPhase.filter(({ isChange }) => isChange);
    const some = [...drawn(changes, CHANGES_MAX, random), ...inPhase.filter((call) => call === look)];
    return some.flatMap((call) => momentsIn(call, inPhase));
  });
}

/** The first and the last, which begin and end what is done in several calls, and some in between. */
function drawn(calls: readonly SeenCall[], count: number, random: Random): readonly SeenCall[] {
  if (calls.length <= count) return calls;
  const [first, ...rest] = calls;
  const last = rest.pop();
  const middle = rest.length > 0 ? [random.pick(rest)] : [];
  return [first, ...(random.chance(0.5) ? middle : []), last].flatMap((call) => call ?? []);
}

function momentsIn(call: SeenCall, inPhase: readonly SeenCall[]): readonly Moment[] {
  const { step, phase, call: what, isChange } = call;
  const skip = inPhase.slice(0, inPhase.indexOf(call)).filter((other) => other.call === what).length;
  const at = (when: Moment['when']): Moment => ({ step, place: 'in', phase, when, what, skip });
  if (what.startsWith('docker run')) return [at('asked'), at('acting'), at('answered')];
  return isChange ? [at('asked'), at('answered')] : [at('asked')];
}
