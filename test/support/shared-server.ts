/** A server that several tests share: started for the first that asks, in a folder of its own that goes with it. */
import { makeTempFolder, type TempFolder } from './temp.ts';

interface Stoppable {
  stop(): Promise<void>;
}

interface Running<T> {
  readonly server: T;
  readonly folder: TempFolder;
}

export class SharedServer<T extends Stoppable> {
  readonly #name: string;
  readonly #start: (directory: string) => Promise<T>;
  #running: Promise<Running<T>> | undefined;

  /** @param start gets an empty folder. */
  constructor(name: string, start: (directory: string) => Promise<T>) {
    this.#name = name;
    this.#start = start;
  }

  async get(): Promise<T> {
    this.#running ??= this.#begin();
    return (await this.#running).server;
  }

  /** Where nobody has asked for the server there is nothing to stop. */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { server, folder } = await this.#running;
    await server.stop();
    await folder.remove();
  }

  async #begin(): Promise<Running<T>> {
    const folder = await makeTempFolder(this.#name);
    try {
      return { server: await this.#start(folder.path), folder };
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }
}
