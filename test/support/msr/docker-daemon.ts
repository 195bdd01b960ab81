/**
 * The Docker of the stand-in's host: containers live here and not in the client, so that one whose client was killed runs
 * on, as with Docker. `docker.ts` is the client; it sends its arguments and standard input and prints what comes back.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FRAME_KINDS } from './docker-frames.ts';
import { parseFlags, runDtr } from './dtr-commands.ts';
import type { MsrState } from './state.ts';

export interface Container {
  readonly id: string;
  readonly name: string;
  /** `backup`, `restore` … */
  readonly command: string;
  state: 'running' | 'exited';
  exitCode: number;
  readonly log: string[];
  readonly keepsLog: boolean;
  readonly ended: Promise<void>;
}

/** What happens to the next run of a command. */
export type CommandFault =
  /** It fails before it has done anything, or after it has done everything. */
  | { readonly kind: 'fail'; readonly when: 'before' | 'after'; readonly message: string }
  /** Its output ends here, and it says that all is well. */
  | { readonly kind: 'cut-output'; readonly atBytes: number }
  /** It writes something else, and says that all is well. */
  | { readonly kind: 'other-output'; readonly change: (output: Buffer) => Uint8Array }
  /** It waits before it begins until it is let go. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown>; readonly onHeld?: () => void };

/** What a test does with the program's calls on their way; see `migrate-world.ts`. */
export interface DockerGate {
  asked(call: string): Promise<boolean>;
  answered(call: string): Promise<boolean>;
}

interface Client {
  readonly args: readonly string[];
  /** Values of the variables that the arguments name. */
  readonly environment: Readonly<Record<string, string>>;
  readonly isTty: boolean;
}

interface RunOptions {
  name: string;
  removes: boolean;
  isInteractive: boolean;
  hasTty: boolean;
  keepsLog: boolean;
  environment: Record<string, string>;
  image: string;
  command: readonly string[];
}

class Usage extends Error {}

export class DockerDaemon {
  readonly #state: MsrState;
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));
  readonly #containers: Container[] = [];
  readonly #faults = new Map<string, CommandFault[]>();
  readonly #onCall: (args: readonly string[], exitCode: number) => void;
  /** Each call is held by it before it is carried out, and before its answer; where it says false, the client is cut off. */
  gate: DockerGate | undefined;

  constructor(state: MsrState, onCall: (args: readonly string[], exitCode: number) => void) {
    this.#state = state;
    this.#onCall = onCall;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get containers(): readonly Container[] {
    return this.#containers;
  }

  /** Befalls the next run of this command that has not been given one yet. */
  misbehave(command: string, fault: CommandFault): void {
    this.#faults.set(command, [...(this.#faults.get(command) ?? []), fault]);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
    await Promise.all(this.#containers.map(({ ended }) => ended));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const said = Buffer.from(String(request.headers['x-docker-client']), 'base64').toString('utf8');
    const client = JSON.parse(said) as Client;
    const pieces: Buffer[] = [];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      // Its client was killed: standard input ends here for the container, which runs all the same.
    }
    response.on('error', () => undefined);
    const send = (kind: (typeof FRAME_KINDS)[number], bytes: Uint8Array): void => {
      const head = Buffer.alloc(5);
      head[0] = FRAME_KINDS.indexOf(kind);
      head.writeUInt32BE(bytes.length, 1);
      // A client that is gone reads no more; its container does not care.
      if (!response.destroyed) response.write(Buffer.concat([head, bytes]));
    };
    const named = callOf(client.args);
    if (this.gate && !(await this.gate.asked(named))) return void response.destroy();
    let code: number;
    try {
      code = await this.#command(client, Buffer.concat(pieces), send);
    } catch (error) {
      send('stderr', Buffer.from(`docker: ${error instanceof Error ? error.message : String(error)}.\n`));
      code = error instanceof Usage ? 125 : 1;
    }
    this.#onCall(client.args, code);
    if (this.gate && !(await this.gate.answered(named))) return void response.destroy();
    send('exit', Buffer.from([code]));
    response.end();
  }

  async #command(
    client: Client,
    stdin: Buffer,
    send: (kind: 'stdout' | 'stderr', bytes: Uint8Array) => void,
  ): Promise<number> {
    const [verb = '', ...args] = client.args;
    const print = (text: string): number => {
      send('stdout', Buffer.from(text === '' ? '' : `${text}\n`));
      return 0;
    };
    if (verb === 'run') return this.#run(client, parseRun(args, client), stdin, send);
    if (verb === 'version') return print('Client: Docker Engine\n Version: 23.0.0');
    if (verb === 'ps') return print(this.#list(args));
    const container = this.#find(args.at(-1) ?? '');
    if (verb === 'logs') {
      if (!container.keepsLog) throw new Error('configured logging driver does not support reading');
      send('stderr', Buffer.from(container.log.map((line) => `${line}\n`).join('')));
      return 0;
    }
    if (verb === 'wait') {
      await container.ended;
      return print(String(container.exitCode));
    }
    if (verb === 'inspect') {
      const format = args[args.indexOf('--format') + 1] ?? '';
      return print(fill(format, container));
    }
    if (verb !== 'rm') throw new Usage(`'${verb}' is not a docker command`);
    if (container.state === 'running')
      throw new Error(`cannot remove a running container "${container.name}"`);
    this.#containers.splice(this.#containers.indexOf(container), 1);
    return print(container.name);
  }

  #list(args: readonly string[]): string {
    const argumentOf = (flag: string): string | undefined => {
      const at = args.indexOf(flag);
      return at < 0 ? undefined : args[at + 1];
    };
    const [, name = ''] = /^name=(.*)$/.exec(argumentOf('--filter') ?? '') ?? [];
    const isAll = args.includes('-a') || args.includes('--all');
    return this.#containers
      .filter((container) => isAll || container.state === 'running')
      .filter((container) => new RegExp(name).test(container.name))
      .map((container) => fill(argumentOf('--format') ?? '{{.ID}} {{.Names}} {{.Status}}', container))
      .join('\n');
  }

  #find(name: string): Container {
    const container = this.#containers.find((one) => one.name === name || one.id === name);
    if (!container) throw new Error(`No such container: ${name}`);
    return container;
  }

  async #run(
    client: Client,
    options: RunOptions,
    stdin: Buffer,
    send: (kind: 'stdout' | 'stderr', bytes: Uint8Array) => void,
  ): Promise<number> {
    const state = this.#state;
    if (this.#containers.some(({ name }) => name === options.name)) {
      throw new Usage(`Conflict. The container name "/${options.name}" is already in use`);
    }
    if (options.image !== `mirantis/dtr:${state.version}`) {
      throw new Usage(`manifest for ${options.image} not found: manifest unknown`);
    }
    const [command = '', ...args] = options.command;
    const { promise, resolve } = Promise.withResolvers<void>();
    const container: Container = {
      id: randomBytes(6).toString('hex'),
      name: options.name,
      command,
      state: 'running',
      exitCode: 0,
      log: [],
      keepsLog: options.keepsLog,
      ended: promise,
    };
    this.#containers.push(container);
    const log = (line: string): void => {
      container.log.push(line);
      send('stderr', Buffer.from(`${line}\n`));
    };
    const fault = this.#faults.get(command)?.shift();
    if (fault?.kind === 'hold') {
      fault.onHeld?.();
      await fault.until;
    }
    let room = fault?.kind === 'cut-output' ? fault.atBytes : Number.POSITIVE_INFINITY;
    const held: Uint8Array[] = [];
    const out = (bytes: Uint8Array): void => {
      if (fault?.kind === 'other-output') {
        held.push(bytes);
        return;
      }
      if (room > 0) send('stdout', bytes.subarray(0, room));
      room -= bytes.length;
    };
    if (fault?.kind === 'fail' && fault.when === 'before') {
      log(fault.message);
      container.exitCode = 1;
    } else {
      try {
        container.exitCode = await runDtr(state, command, {
          flags: parseFlags(state, command, args),
          environment: options.environment,
          stdin: options.isInteractive ? stdin : Buffer.alloc(0),
          isTty: options.hasTty || client.isTty,
          out,
          log,
        });
      } catch (error) {
        log(error instanceof Error ? error.message : String(error));
        container.exitCode = 1;
      }
      if (fault?.kind === 'other-output') send('stdout', fault.change(Buffer.concat(held)));
      if (fault?.kind === 'fail') {
        log(fault.message);
        container.exitCode = 1;
      }
    }
    container.state = 'exited';
    if (options.removes) this.#containers.splice(this.#containers.indexOf(container), 1);
    resolve();
    return container.exitCode;
  }
}

/** `docker run backup`, `docker ps`. */
export function callOf([verb = '', ...args]: readonly string[]): string {
  const command = args.find((arg) => /^(backup|restore|reconfigure|destroy)$/.test(arg));
  return verb === 'run' ? `docker run ${command}` : `docker ${verb}`;
}

/** The few fields of Go's templates that are asked for. */
function fill(format: string, { id, name, state, exitCode }: Container): string {
  const status = state === 'running' ? 'Up 1 second' : `Exited (${exitCode}) 1 second ago`;
  const fields: Readonly<Record<string, string>> = {
    '.ID': id,
    '.Names': name,
    '.Name': `/${name}`,
    '.State': state,
    '.Status': status,
    '.State.Status': state,
    '.State.ExitCode': String(exitCode),
  };
  return format.replace(/\{\{\s*([.\w]+)\s*\}\}/g, (whole, field: string) => fields[field] ?? whole);
}

const SWITCHES: Readonly<Record<string, (options: RunOptions) => void>> = {
  '--rm': (options) => {
    options.removes = true;
  },
  '-i': (options) => {
    options.isInteractive = true;
  },
  '--interactive': (options) => {
    options.isInteractive = true;
  },
  '-t': (options) => {
    options.hasTty = true;
  },
  '--tty': (options) => {
    options.hasTty = true;
  },
  '-it': (options) => {
    options.isInteractive = true;
    options.hasTty = true;
  },
};

function parseRun(args: readonly string[], client: Client): RunOptions {
  const options: RunOptions = {
    name: `happy_${randomBytes(3).toString('hex')}`,
    removes: false,
    isInteractive: false,
    hasTty: false,
    keepsLog: true,
    environment: {},
    image: '',
    command: [],
  };
  for (let at = 0; at < args.length; at += 1) {
    const [flag = '', inline] = splitOnce(args[at] ?? '', args[at]?.startsWith('--') === true);
    if (!flag.startsWith('-')) {
      options.image = flag;
      options.command = args.slice(at + 1);
      return options;
    }
    const isSwitch = SWITCHES[flag];
    if (isSwitch) {
      isSwitch(options);
      continue;
    }
    if (inline === undefined) at += 1;
    takeValue(options, client, flag, inline ?? args[at] ?? '');
  }
  throw new Usage('"docker run" requires at least 1 argument');
}

function splitOnce(text: string, hasInline: boolean): readonly [string, string | undefined] {
  const equals = hasInline ? text.indexOf('=') : -1;
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

function takeValue(options: RunOptions, client: Client, flag: string, value: string): void {
  if (flag === '--name') options.name = value;
  else if (flag === '--log-driver') options.keepsLog = value !== 'none';
  else if (flag === '-e' || flag === '--env') {
    const [name, text] = splitOnce(value, true);
    if (text !== undefined && /PASSWORD|TOKEN|SECRET/.test(name)) {
      throw new Usage(
        `the secret ${name} stands in the arguments, where every process of the host can read it`,
      );
    }
    const found = text ?? client.environment[name];
    if (found !== undefined) options.environment[name] = found;
  } else throw new Usage(`unknown flag: ${flag}`);
}
