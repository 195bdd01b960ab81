/**
 * Visits a tree in order while later parts of it are already being fetched, so that a file system that takes a
 * millisecond a call is not walked one call at a time. Pure: what a visit does is the caller's affair.
 *
 * Two structures share the nodes:
 *
 *   out       a linked list in tree order: what the consumer takes, one node after the other
 *   segments  the children that no visit was begun for yet, in tree order; a visit under way keeps an empty segment
 *             as a place holder, which becomes the segment of its children
 *
 * The first segment that is not empty always holds the earliest child that waits. A segment's `tail` is the last node
 * that comes before the children left in it, and a new node goes directly behind it; segments behind that share the
 * tail, because nothing lay between, move on to the new node.
 *
 * Memory: earliest first means that unvisited children belong to the folders on the way to the consumer's place and to
 * those being fetched at once, so no more than (depth + visits at once) folders are held, and `waitingMax` nodes.
 */
import type { Maybe } from './fs-calls.ts';

/** What a visit finds: something to hand out, children to visit next in this order, or nothing. */
export type Visit<Child, Item> =
  | { readonly item: Item }
  | { readonly children: readonly Child[] }
  | undefined;

export interface LookAhead {
  /** Visits under way at once; 1 visits only what the consumer asks for. Asked anew each time. */
  readonly visitsMax: () => number;
  /** Nodes visited and not yet taken, beyond which nothing more is fetched early. */
  readonly waitingMax: number;
}

interface OutNode<Child, Item> {
  next: OutNode<Child, Item> | undefined;
  visit: Visit<Child, Item> | Promise<void>;
  error: unknown;
  hasFailed: boolean;
  /** The segment whose children come directly behind this node. */
  segment: Segment<Child, Item> | undefined;
}

interface Segment<Child, Item> {
  children: readonly Child[];
  at: number;
  tail: OutNode<Child, Item>;
}

export class OrderedWalk<Child, Item> {
  readonly #visit: (child: Child) => Maybe<Visit<Child, Item>>;
  readonly #lookAhead: LookAhead;
  /** The node last taken. */
  #taken: OutNode<Child, Item>;
  readonly #segments: Segment<Child, Item>[] = [];
  #visiting = 0;
  #waiting = 0;
  #isStopped = false;

  constructor(
    roots: readonly Child[],
    visit: (child: Child) => Maybe<Visit<Child, Item>>,
    lookAhead: LookAhead,
  ) {
    this.#visit = visit;
    this.#lookAhead = lookAhead;
    this.#taken = newNode(undefined);
    this.#open({ children: [], at: 0, tail: this.#taken }, roots, 0);
  }

  /** The next item in order; undefined at the end. Throws what its visit threw, after all items before it. */
  next(): Maybe<Item | undefined> {
    const found = this.#advance();
    return found instanceof Promise ? this.#nextAfter(found) : found;
  }

  /** Begins no further visits; those under way end unheard. */
  stop(): void {
    this.#isStopped = true;
  }

  async #nextAfter(visited: Promise<void>): Promise<Item | undefined> {
    let found: Item | undefined | Promise<void> = visited;
    while (found instanceof Promise) {
      await found;
      found = this.#advance();
    }
    return found;
  }

  /** Takes nodes up to the next item; a promise means that the node to take next is still being visited. */
  #advance(): Item | undefined | Promise<void> {
    for (;;) {
      this.#fetchAhead();
      // The children directly behind the taken node are the earliest of all, so theirs is the first open segment.
      if (this.#taken.segment !== undefined) this.#visitFirst();
      const node = this.#taken.next;
      if (node === undefined) return undefined;
      if (node.visit instanceof Promise) return node.visit;
      this.#taken = node;
      this.#waiting -= 1;
      if (node.hasFailed) throw node.error;
      if (node.visit !== undefined && 'item' in node.visit) return node.visit.item;
    }
  }

  #fetchAhead(): void {
    const visitsMax = this.#lookAhead.visitsMax();
    if (visitsMax <= 1) return;
    while (!this.#isStopped && this.#visiting < visitsMax && this.#waiting < this.#lookAhead.waitingMax) {
      if (!this.#visitFirst()) return;
    }
  }

  /** Begins the visit of the earliest child that waits; false when none does. */
  #visitFirst(): boolean {
    const at = this.#segments.findIndex((segment) => segment.at < segment.children.length);
    const segment = this.#segments[at];
    const child = segment?.children[segment.at];
    if (segment === undefined || child === undefined) return false;
    const node = this.#append(segment, at);
    segment.at += 1;
    if (segment.at === segment.children.length) this.#segments.splice(at, 1);
    const behind = this.#segments[at];
    if (behind?.tail === node) node.segment = behind;
    this.#waiting += 1;
    this.#begin(node, child, at);
    return true;
  }

  #append(segment: Segment<Child, Item>, at: number): OutNode<Child, Item> {
    const before = segment.tail;
    const node = newNode<Child, Item>(before.next);
    before.next = node;
    before.segment = undefined;
    for (let later = at; this.#segments[later]?.tail === before; later += 1) {
      const sharing = this.#segments[later];
      if (sharing !== undefined) sharing.tail = node;
    }
    return node;
  }

  #begin(node: OutNode<Child, Item>, child: Child, at: number): void {
    let found: Maybe<Visit<Child, Item>>;
    try {
      found = this.#visit(child);
    } catch (error) {
      fail(node, error);
      return;
    }
    if (!(found instanceof Promise)) {
      node.visit = found;
      if (found !== undefined && 'children' in found) {
        this.#open({ children: [], at: 0, tail: node }, found.children, at);
      }
      return;
    }
    const slot: Segment<Child, Item> = { children: [], at: 0, tail: node };
    this.#segments.splice(at, 0, slot);
    this.#visiting += 1;
    node.visit = found.then(
      (visit) => this.#settle(node, slot, visit),
      (error: unknown) => {
        this.#settle(node, slot, undefined);
        fail(node, error);
      },
    );
  }

  #settle(node: OutNode<Child, Item>, slot: Segment<Child, Item>, visit: Visit<Child, Item>): void {
    this.#visiting -= 1;
    node.visit = visit;
    const at = this.#segments.indexOf(slot);
    this.#segments.splice(at, 1);
    if (visit !== undefined && 'children' in visit) this.#open(slot, visit.children, at);
    this.#fetchAhead();
  }

  #open(segment: Segment<Child, Item>, children: readonly Child[], at: number): void {
    if (children.length === 0) return;
    segment.children = children;
    this.#segments.splice(at, 0, segment);
    segment.tail.segment = segment;
  }
}

function newNode<Child, Item>(next: OutNode<Child, Item> | undefined): OutNode<Child, Item> {
  return { next, visit: undefined, error: undefined, hasFailed: false, segment: undefined };
}

function fail<Child, Item>(node: OutNode<Child, Item>, error: unknown): void {
  node.hasFailed = true;
  node.error = error;
}
