/** Sums over objects: of one shard while it is scanned, then of all. */
import { SIDES } from '../core/counters.ts';
import { OBJECT_CLASSES, type ObjectClass } from '../layout/layout.ts';
import { SMALL_BYTES_MAX } from './estimate.ts';
import { type ObjectRequests, Requests } from './requests.ts';
import { type Amount, type NamedPath, PLAN_STATES, type PlanState } from './summary.ts';

/** Lists of names are for people; sums are complete. */
const NAMED_MAX = 100;

type Amounts = Readonly<Record<PlanState, Amount>>;
type ExtraByClass = Readonly<Record<ObjectClass, Amount>>;

export interface Counted {
  readonly path: string;
  readonly objectClass: ObjectClass;
  readonly sizeBytes: number;
  /** What copying it takes. */
  readonly requests: ObjectRequests | undefined;
  /** Requests to each side that compare its content with what the target has. */
  readonly compareReads: number;
}

export class Tally {
  /** Of copying what is missing or differs, and of comparing what is still undecided. */
  readonly requests = new Requests();
  readonly differing: NamedPath[] = [];
  readonly conflicting: NamedPath[] = [];
  readonly impossible: NamedPath[] = [];
  readonly leftOut: string[] = [];
  /** The first of what only the target has. */
  readonly extra: string[] = [];
  /** So much of that may be deleted. */
  objectsDeletable = 0;
  objectsLeftOut = 0;
  /** Of the source, where the target cannot be seen. */
  objectsUnseen = 0;
  listedSource = 0;
  listedTarget = 0;
  smallObjects = 0;
  largeObjects = 0;
  largeBytes = 0;
  /** The service copies them by itself. */
  objectsServerSide = 0;
  bytesServerSide = 0;
  /** Of those bytes. */
  bytesReadBack = 0;
  readonly #amounts = new Map<string, { objects: number; bytes: number }>();

  add(state: PlanState, object: Counted, why?: string): void {
    this.#count(state, object, 1);
    const names = this.#namesOf(state);
    if (names && names.length < NAMED_MAX) {
      names.push({ path: object.path, ...(why === undefined ? {} : { why }) });
    }
  }

  /** Another look gave another answer. */
  move(object: Counted, from: PlanState, to: PlanState, why?: string): void {
    this.#count(from, object, -1);
    this.add(to, object, why);
  }

  leaveOut(path: string): void {
    this.objectsLeftOut += 1;
    if (this.leftOut.length < NAMED_MAX) this.leftOut.push(path);
  }

  addExtra(path: string, objectClass: ObjectClass, sizeBytes: number, isDeletable: boolean): void {
    this.#sum(`extra/${objectClass}`, 1, sizeBytes);
    if (isDeletable) this.objectsDeletable += 1;
    if (this.extra.length < NAMED_MAX) this.extra.push(path);
  }

  get extraByClass(): ExtraByClass {
    const rows = OBJECT_CLASSES.map((one) => {
      const { objects, bytes } = this.#amounts.get(`extra/${one}`) ?? { objects: 0, bytes: 0 };
      return [one, { objects, bytes }] as const;
    });
    return Object.fromEntries(rows) as Record<ObjectClass, Amount>;
  }

  addAll(other: Tally): void {
    for (const [name, { objects, bytes }] of other.#amounts) this.#sum(name, objects, bytes);
    this.requests.addAll(other.requests);
    this.objectsLeftOut += other.objectsLeftOut;
    this.objectsDeletable += other.objectsDeletable;
    this.objectsUnseen += other.objectsUnseen;
    this.listedSource += other.listedSource;
    this.listedTarget += other.listedTarget;
    this.smallObjects += other.smallObjects;
    this.largeObjects += other.largeObjects;
    this.largeBytes += other.largeBytes;
    this.objectsServerSide += other.objectsServerSide;
    this.bytesServerSide += other.bytesServerSide;
    this.bytesReadBack += other.bytesReadBack;
    addSome(this.differing, other.differing);
    addSome(this.conflicting, other.conflicting);
    addSome(this.impossible, other.impossible);
    addSome(this.leftOut, other.leftOut);
    addSome(this.extra, other.extra);
  }

  amounts(objectClass?: ObjectClass): Amounts {
    const classes = objectClass === undefined ? OBJECT_CLASSES : [objectClass];
    const of = (state: PlanState): Amount => {
      const found = classes.flatMap((one) => this.#amounts.get(`${state}/${one}`) ?? []);
      return {
        objects: found.reduce((sum, { objects }) => sum + objects, 0),
        bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    };
    return Object.fromEntries(PLAN_STATES.map((state) => [state, of(state)])) as Record<PlanState, Amount>;
  }

  #count(state: PlanState, object: Counted, sign: 1 | -1): void {
    const { objectClass, sizeBytes, requests, compareReads } = object;
    this.#sum(`${state}/${objectClass}`, sign, sign * sizeBytes);
    if (state === 'undecided') {
      for (const side of SIDES) this.requests.add(side, 'read', sign * compareReads);
    }
    if (state !== 'missing' && state !== 'differing') return;
    if (requests) this.requests.addCopy(requests, sign);
    if (requests?.inside) {
      this.objectsServerSide += sign;
      this.bytesServerSide += sign * sizeBytes;
      if (requests.inside.reads > 0) this.bytesReadBack += sign * sizeBytes;
      // What the service does by itself takes a time that no sample tells; reading it back is like reading.
      if (requests.inside.reads > 0) this.largeBytes += sign * sizeBytes;
      return;
    }
    if (sizeBytes <= SMALL_BYTES_MAX) this.smallObjects += sign;
    else this.largeBytes += sign * sizeBytes;
    if (requests && requests.parts > 0) this.largeObjects += sign;
  }

  #sum(name: string, objects: number, bytes: number): void {
    const sum = this.#amounts.get(name) ?? { objects: 0, bytes: 0 };
    sum.objects += objects;
    sum.bytes += bytes;
    this.#amounts.set(name, sum);
  }

  #namesOf(state: PlanState): NamedPath[] | undefined {
    if (state === 'differing') return this.differing;
    if (state === 'conflicting') return this.conflicting;
    return state === 'impossible' ? this.impossible : undefined;
  }
}

function addSome<T>(list: T[], more: readonly T[]): void {
  list.push(...more.slice(0, Math.max(0, NAMED_MAX - list.length)));
}
