/** What one thread knows of copies inside the service that holds both sides. */

/** Found out before the first object moved; the same for every thread. */
export interface ServerSideSettings {
  /** Of the source. */
  readonly bucket: string;
  /** Was the service seen to compute the sha256 of what it copies? Otherwise copies are read back. */
  readonly computes: boolean;
}

export class ServerSide {
  readonly bucket: string;
  readonly computes: boolean;
  #isOn = true;
  #notice: string | undefined;

  constructor({ bucket, computes }: ServerSideSettings) {
    this.bucket = bucket;
    this.computes = computes;
  }

  /** False once the service has refused a copy: further ones would only be refused as well. */
  get isOn(): boolean {
    return this.#isOn;
  }

  refused(reason: string): void {
    if (!this.#isOn) return;
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
