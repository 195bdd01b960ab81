/**
 * How many requests a second one class may send to a server that refuses some (503 SlowDown, 429). There is no bound
 * until it does. Then: nine tenths of what it accepted, soon again close to that, for a while about there, and only then
 * further up, faster and faster (the cubic curve of TCP), so that a limit which was raised is found within a minute.
 * Pure: time comes with the samples.
 */

const CUT_TO = 0.9;
/** After this long a rate that was cut is back at what was accepted, and goes beyond it. */
const BACK_MS = 10_000;
/** What is accepted is measured over the last second, and over longer where less than so many requests were answered. */
const MEMORY_MS = 1_000;
const MEMORY_REQUESTS = 50;
const MEMORY_MS_MAX = 10_000;
/** No cut follows another before what came of it was measured for so long. */
const CUT_PAUSE_MS = 300;
/** A few refusals are nobody's fault: services refuse a request in a thousand whatever the rate is. */
const REFUSED_MIN = 3;
const REFUSED_SHARE_MIN = 0.02;
/** Fewer accepted than this while others were refused: the server is down rather than at its limit. */
const ACCEPTED_MIN = 3;
const PER_SECOND_MIN = 1;
/** A search for what is accepted begins low and goes up by this a second. */
const SEARCH_GROWTH = 4;
/** A rate of which less than this share is asked for is not tested, and does not rise. */
const USED_SHARE = 0.4;
const UNUSED_MS_MAX = 10_000;
/** So many cuts in a row after which as large a share was refused as before: it does not depend on the rate. */
const FUTILE_MAX = 3;
const FUTILE_MEMORY_MS = 5_000;
/** Then refusals are not heeded for a while, as long as no larger share than this is refused for going faster. */
const DEAF_SHARE = 1.5;
const DEAF_MS_MIN = 10_000;
const DEAF_MS_MAX = 120_000;

export interface PaceSample {
  readonly elapsedMs: number;
  readonly accepted: number;
  readonly refused: number;
  /** The longest that refusals asked to wait. */
  readonly retryAfterMs: number;
  /** Requests that are not answered yet. */
  readonly inFlight: number;
}

interface Measured {
  readonly elapsedMs: number;
  readonly accepted: number;
  readonly refused: number;
}

export class PaceFinder {
  /** Requests a second; undefined: not bounded. */
  #perSecond: number | undefined;
  /** No request may be sent for so long: the server said so. */
  #holdMs = 0;
  #recent: Measured[] = [];
  /** What was accepted at the last cut, a second. */
  #ceiling = 0;
  #sinceCutMs = Number.POSITIVE_INFINITY;
  /** Requests that were under way when the rate was cut: how they end says nothing of the new rate. */
  #settling = 0;
  #sinceCut: Measured = NOTHING;
  #shareAtCut = 0;
  /** Before the first of the cuts that changed nothing. */
  #beforeCuts = 0;
  #futile = 0;
  #deafMs = 0;
  #nextDeafMs = DEAF_MS_MIN;
  /**
   * The rate goes up quickly, to nine tenths of the ceiling or to the next refusal: what the first requests of all met
   * tells little, and so does a time when nothing at all was accepted.
   */
  #isSearching = false;
  #unusedMs = 0;

  get perSecond(): number | undefined {
    return this.#perSecond;
  }

  get holdMs(): number {
    return this.#holdMs;
  }

  /** @returns whether the rate was cut. */
  step(sample: PaceSample): boolean {
    const isSettling = this.#settling > 0;
    this.#settling -= Math.min(this.#settling, sample.accepted + sample.refused);
    if (this.#holdMs > 0) {
      this.#holdMs = Math.max(0, this.#holdMs - sample.elapsedMs);
      return false;
    }
    this.#deafMs = Math.max(0, this.#deafMs - sample.elapsedMs);
    if (isSettling && sample.inFlight > 0) return false;
    this.#settling = 0;
    this.#sinceCutMs += sample.elapsedMs;
    this.#sinceCut = total([this.#sinceCut, sample]);
    this.#remember(sample);
    const now = total(this.#recent);
    const isRefusing = sample.refused > 0 && now.refused >= REFUSED_MIN + REFUSED_SHARE_MIN * now.accepted;
    const isDeaf = this.#deafMs > 0 && refusedShare(now) <= DEAF_SHARE * this.#shareAtCut + REFUSED_SHARE_MIN;
    const isCut = isRefusing && this.#sinceCutMs >= CUT_PAUSE_MS && !isDeaf;
    if (isCut) this.#cut(now, sample);
    else this.#rise(sample, now, isDeaf);
    return isCut;
  }

  #remember({ elapsedMs, accepted, refused }: PaceSample): void {
    this.#recent.push({ elapsedMs, accepted, refused });
    for (;;) {
      const [oldest, ...others] = this.#recent;
      const rest = total(others);
      if (oldest === undefined || rest.elapsedMs < MEMORY_MS) return;
      if (rest.accepted + rest.refused < MEMORY_REQUESTS && rest.elapsedMs < MEMORY_MS_MAX) return;
      this.#recent = others;
    }
  }

  #cut(now: Measured, { retryAfterMs, inFlight }: PaceSample): void {
    const isFutile =
      this.#sinceCutMs < FUTILE_MEMORY_MS && refusedShare(this.#sinceCut) >= this.#shareAtCut / 2;
    if (!isFutile) this.#beforeCuts = this.#perSecond ?? perSecond(now, now.accepted + now.refused);
    this.#futile = isFutile ? this.#futile + 1 : 0;
    this.#shareAtCut = refusedShare(now);
    if (now.accepted < ACCEPTED_MIN) this.#cutToLittle(now);
    else if (this.#futile >= FUTILE_MAX) this.#ignore();
    else this.#cutTo(perSecond(now, now.accepted));
    this.#sinceCutMs = 0;
    this.#sinceCut = NOTHING;
    this.#recent = [];
    this.#settling = inFlight;
    this.#holdMs = retryAfterMs;
  }

  #cutTo(accepted: number): void {
    this.#isSearching = this.#perSecond === undefined;
    this.#ceiling =
      this.#perSecond === undefined ? Number.POSITIVE_INFINITY : Math.min(accepted, this.#perSecond);
    this.#perSecond = Math.max(PER_SECOND_MIN, CUT_TO * Math.min(accepted, this.#ceiling));
  }

  /** Down, or nearly: half as many each time, and quickly back to what was known once it is there again. */
  #cutToLittle(now: Measured): void {
    const sent = perSecond(now, now.accepted + now.refused);
    if (!this.#isSearching) this.#ceiling = Math.max(this.#ceiling, this.#perSecond ?? sent);
    this.#isSearching = true;
    this.#futile = 0;
    this.#perSecond = Math.max(PER_SECOND_MIN, Math.min(this.#perSecond ?? sent, sent) / 2);
  }

  /** Fewer requests were refused as often: going slower helps nobody. */
  #ignore(): void {
    this.#futile = 0;
    this.#deafMs = this.#nextDeafMs;
    this.#nextDeafMs = Math.min(DEAF_MS_MAX, 2 * this.#nextDeafMs);
    this.#perSecond = this.#beforeCuts;
    this.#ceiling = Number.POSITIVE_INFINITY;
    this.#isSearching = true;
  }

  #rise({ elapsedMs, refused }: PaceSample, now: Measured, isDeaf: boolean): void {
    if (this.#perSecond === undefined) return;
    if (perSecond(now, now.accepted + now.refused) < USED_SHARE * this.#perSecond) {
      this.#rest(elapsedMs, now);
      return;
    }
    this.#unusedMs = 0;
    if (this.#isSearching) {
      if (refused > 0 && !isDeaf) return;
      this.#perSecond *= SEARCH_GROWTH ** (elapsedMs / 1000);
      this.#isSearching = this.#perSecond < CUT_TO * this.#ceiling;
      this.#sinceCutMs = 0;
    } else {
      const x = this.#sinceCutMs / BACK_MS - 1;
      this.#perSecond = Math.max(this.#perSecond, this.#ceiling * (1 + (1 - CUT_TO) * x ** 3));
    }
  }

  /** A bound that nobody comes near for long is none: it must not be kept for another time. */
  #rest(elapsedMs: number, now: Measured): void {
    if (!this.#isSearching) this.#sinceCutMs -= elapsedMs;
    this.#unusedMs = now.refused === 0 ? this.#unusedMs + elapsedMs : 0;
    if (this.#unusedMs >= UNUSED_MS_MAX) this.#perSecond = undefined;
  }
}

const NOTHING: Measured = { elapsedMs: 0, accepted: 0, refused: 0 };

function perSecond({ elapsedMs }: Measured, count: number): number {
  return (count * 1000) / elapsedMs;
}

function refusedShare({ accepted, refused }: Measured): number {
  return accepted + refused === 0 ? 0 : refused / (accepted + refused);
}

function total(measured: readonly Measured[]): Measured {
  let [elapsedMs, accepted, refused] = [0, 0, 0];
  for (const one of measured) {
    elapsedMs += one.elapsedMs;
    accepted += one.accepted;
    refused += one.refused;
  }
  return { elapsedMs, accepted, refused };
}
