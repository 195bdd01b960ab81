/** What one thread knows of copies that a service makes by itself. */

/** How it comes to the source: a bucket on the same service, or an address for each object, which the source gives out. */
export type Reach = { readonly bucket: string } | 'addresses';

/** Found out before the first object moved; the same for every thread. */
export interface ServerSideSettings {
  readonly reach: Reach;
  /** Was the service seen to compute the sha256 of what it copies? Otherwise copies are read back. */
  readonly computes: boolean;
}

/** One object that a service cannot fetch says little of the next: whoever stands in front of the source may have been busy. */
const REFUSALS_MAX = 5;

export class ServerSide {
  readonly reach: Reach;
  readonly computes: boolean;
  #isOn = true;
  #refusals = 0;
  #notice: string | undefined;

  constructor({ reach, computes }: ServerSideSettings) {
    this.reach = reach;
    this.computes = computes;
  }

  /** False once the service has refused a copy: further ones would only be refused as well. */
  get isOn(): boolean {
    return this.#isOn;
  }

  copied(): void {
    this.#refusals = 0;
  }

  refused(reason: string): void {
    if (!this.#isOn) return;
    this.#refusals += 1;
    if (this.reach === 'addresses' && this.#refusals < REFUSALS_MAX) return;
    this.#isOn = false;
    this.#notice = `The service refused to copy by itself, so objects pass through this machine: ${reason}`;
  }

  /** What is to be told, once. */
  takeNotice(): string | undefined {
    const notice = this.#notice;
    this.#notice = undefined;
    return notice;
  }
}
