/** The names of a migration file, section by section, and how each value is read. */
import { z } from 'zod';
import { booleanParameter, choiceParameter, mapParameter, parameter, Refused } from '../storage/parameter.ts';
import { parseDuration } from '../units.ts';

const PASSES_MAX = 100;

const sameWord = (word: string): string => word;

function required(text: string): string | Refused {
  if (text === '') return new Refused('has no value');
  return /\p{Cc}/u.test(text) ? new Refused('must not hold line breaks or other control characters') : text;
}

function place(description: string, byDefault = 'required') {
  return parameter({ type: 'text', default: byDefault, description, refusesNothing: true }, required);
}

export const migrationParameters = z.object({
  source: place('The storage that the registry uses now: a YAML file or a URL'),
  target: place('The storage that it is to use: a YAML file or a URL'),
  procedure: choiceParameter(
    { default: 'required with `kind: msr`', description: 'The steps around the copy' },
    ['reconfigure', 'restore'],
    sameWord,
  ),
  passes: parameter(
    {
      type: 'integer or `auto`',
      default: 'auto',
      description:
        'Passes over the live source before the read-only window; `auto`: until the delta is small',
    },
    readPasses,
  ),
  // Read as a section of its own; here it is known by name, so that a slip of the pen is pointed out.
  platform: mapParameter({ default: 'required', description: 'The registry around the storage' }),
  backups: place('Folder for the metadata backups', './backups'),
  windowMax: parameter(
    {
      type: 'duration',
      default: 'none',
      description: 'A read-only window that is predicted to be longer is not opened: `30m`, `4h`',
    },
    readTime,
  ),
  journal: place('Folder of the journal', './journal'),
  report: place('Folder of the report', './report'),
});

function readPasses(text: string): 'auto' | number | Refused {
  if (text === 'auto') return 'auto';
  const passes = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  return passes <= PASSES_MAX
    ? passes
    : new Refused(`must be auto or a whole number from 0 to ${PASSES_MAX}`);
}

function readTime(text: string): number | Refused {
  const ms = parseDuration(text);
  return ms === undefined || ms === 0 ? new Refused('must be a time such as 90s, 30m or 4h') : ms;
}

const access = {
  url: parameter(
    { type: 'text', default: 'required', description: 'Where it answers: `https://host[:port]`' },
    readServer,
  ),
  username: parameter({ type: 'text', default: 'required', description: 'A system administrator' }, readUser),
  passwordEnv: variable('Environment variable that holds the password'),
  ca: place('File with the authority (PEM) to trust', 'those that Node trusts'),
  insecure: booleanParameter({
    default: 'false',
    description: '`true`: the certificate is not checked; every report says so',
  }),
};

export const mkeParameters = z.object(access);

export const platformParameters = z.object({
  kind: choiceParameter(
    { default: 'required', description: 'What stands in front of the storage' },
    ['msr', 'none'],
    sameWord,
  ),
  ...access,
  tokenEnv: variable('Environment variable that holds an access token, instead of `passwordEnv`'),
  cli: choiceParameter(
    { default: 'print', description: '`docker`: run the commands of the bootstrapper; `print`: show them' },
    ['docker', 'print'],
    sameWord,
  ),
  image: parameter(
    { type: 'text', default: 'required', description: 'The bootstrapper: `mirantis/dtr:2.9.18`' },
    readImage,
  ),
  replicaId: parameter(
    { type: 'text', default: 'required', description: 'A replica to talk to: 12 hex digits' },
    (text) => (/^[0-9a-f]{12}$/.test(text) ? text : new Refused('must be 12 hex digits in small letters')),
  ),
  storageVolume: parameter(
    {
      type: 'text',
      default: 'none',
      description:
        'Volume or full path with the new storage, as the nodes of MSR mount it; for a target that is a folder',
    },
    readVolume,
  ),
  nfsStorageUrl: parameter(
    { type: 'text', default: 'none', description: 'The same, over NFS: `nfs://server/folder`' },
    readNfs,
  ),
  ucpNode: parameter(
    {
      type: 'text',
      default: 'required with `procedure: restore`',
      description: 'Node of MKE on which MSR is restored',
    },
    readNode,
  ),
  externalUrl: parameter(
    {
      type: 'text',
      default: 'as in the backup',
      description: 'Address of MSR for its users, after a restore: `https://host[:port]`',
    },
    readServer,
  ),
  readOnlyMax: patience('30m', 'How long replicas may take to restart, read-only or writable'),
  jobsMax: patience('6h', 'How long jobs that run already may take to end'),
  commandMax: patience('12h', 'How long one command of the bootstrapper may take'),
  gcMax: patience('24h', 'How long the garbage collection at the end may take'),
  mke: mapParameter({ default: 'required with `kind: msr`', description: 'The cluster around MSR' }),
});

function patience(byDefault: string, description: string) {
  return parameter({ type: 'duration', default: byDefault, description }, readTime);
}

/** What is written in its place may be the secret itself: it is never shown. */
function variable(description: string) {
  return parameter({ type: 'text', default: 'none', description, isSecret: true }, (text) =>
    /^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(text)
      ? text
      : new Refused('must be the name of an environment variable, not what it holds'),
  );
}

function readServer(text: string): string | Refused {
  const url = URL.parse(text);
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.hostname === '') {
    return new Refused('must be an address such as https://msr.example.com');
  }
  if (url.username !== '' || url.password !== '') {
    return new Refused('must not hold credentials: name them with username and passwordEnv');
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return new Refused('must be a scheme, a host and a port alone, without a path behind them');
  }
  if (url.protocol === 'http:') {
    return new Refused('must begin with https://, or the credentials would cross the network readable');
  }
  return url.origin;
}

/** These become arguments of commands: what begins with a dash would be taken for a flag. */
function readVolume(text: string): string | Refused {
  const isName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(text);
  const isPath = text.startsWith('/') && !/\p{Cc}/u.test(text) && !text.split('/').includes('..');
  return isName || isPath
    ? text
    : new Refused('must be the name of a volume, or a full path without .. in it');
}

function readNfs(text: string): string | Refused {
  const [, host, folder = ''] = /^nfs:\/\/([A-Za-z0-9.:[\]-]+)\/(\S*)$/.exec(text) ?? [];
  const isPlain = host !== undefined && !folder.split('/').includes('..');
  return isPlain ? text : new Refused('must be an address such as nfs://server/folder');
}

function readNode(text: string): string | Refused {
  return /^[A-Za-z0-9][\w.-]{0,253}$/.test(text) ? text : new Refused('must be the name of a node of MKE');
}

function readUser(text: string): string | Refused {
  const name = required(text);
  if (name instanceof Refused || !name.includes(':')) return name;
  return new Refused('must be the name alone; the secret is named by passwordEnv or tokenEnv');
}

/** It becomes an argument: what begins with a dash would be taken for a flag. */
function readImage(text: string): string | Refused {
  return /^[a-z0-9][\w./:@-]{0,254}$/i.test(text)
    ? text
    : new Refused('must be the name of an image such as mirantis/dtr:2.9.18');
}
