/** The manual page, made of the program's own help and of what stands beside it. */
import { type Command, Help, type Option } from 'commander';
import { EXAMPLES } from '../src/cli/examples.ts';

const HELP = new Help();

interface Entry {
  readonly term: string;
  readonly text: string;
}

const STORAGES: readonly Entry[] = [
  {
    term: 'FILE',
    text: 'a YAML file with the registry\'s own "storage:" section (filesystem, s3, azure, gcs or swift)',
  },
  { term: 'file:///srv/registry', text: 'a folder, the one that holds "docker/"' },
  { term: 's3://bucket/root?region=eu-central-1', text: 'Amazon S3' },
  { term: 's3://bucket/root?endpoint=https://ceph.example:7480', text: 'any other S3 service' },
  {
    term: 'azure://account/container/root',
    text: 'Azure Blob Storage; "?endpoint=" for an account at another address, "?keyrule=distribution-2" for names that begin with a slash',
  },
  { term: 'gs://bucket/root', text: 'Google Cloud Storage; "?keyfile=" names a file of credentials' },
  { term: 'swift://container/prefix', text: 'OpenStack Swift' },
];

const EXIT_STATUS: readonly Entry[] = [
  { term: '0', text: 'Done. Never when an object was lost.' },
  { term: '1', text: 'Some objects could not be copied or read, or changed meanwhile: run again.' },
  { term: '2', text: 'Wrong usage or settings, or a storage that cannot be used; nothing was moved.' },
  { term: '3', text: 'Integrity: something is damaged, in conflict or not equal.' },
  { term: '4', text: 'A step of a migration failed, and everything that was changed was taken back.' },
  {
    term: '5',
    text: 'A step of a migration failed, and not everything was taken back: what to do is printed first.',
  },
  { term: '130', text: 'Stopped by the user; the same command goes on.' },
];

const ENVIRONMENT: readonly Entry[] = [
  {
    term: 'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE',
    text: 'Credentials, and whatever else the AWS tools look at, for S3 storages whose settings hold none.',
  },
  { term: 'AWS_REGION', text: 'Region of an S3 storage whose settings name none.' },
  {
    term: 'AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN',
    text: 'Key of the account, or signature, for azure:// URLs. Without either the identity is what the Azure library finds: AZURE_TENANT_ID and its companions, a managed identity, a login.',
  },
  {
    term: 'GOOGLE_APPLICATION_CREDENTIALS',
    text: 'File of credentials for storages of Cloud Storage whose settings hold none. Without it gcloud is looked at, and the service account of the machine.',
  },
  {
    term: 'OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME',
    text: 'Who asks Keystone for tokens, and where, for swift:// URLs; their companions (domains, region, application credentials) as well.',
  },
  { term: 'ST_AUTH, ST_USER, ST_KEY', text: 'The same for a Swift that has its own users (tempauth).' },
  {
    term: 'XDG_STATE_HOME',
    text: 'Where journals are kept, in a folder "blobferry"; default ~/.local/state.',
  },
  { term: 'TMPDIR', text: 'Where a listing that is out of order is sorted.' },
  { term: 'NO_COLOR', text: 'Switches colours off.' },
  { term: 'BLOBFERRY_DEBUG', text: 'Adds to an error where in the program it came from.' },
];

const FILES: readonly Entry[] = [
  {
    term: '~/.local/state/blobferry/*/journal.sqlite',
    text: 'The journal of a job: what is copied where, its passes, and every object that did not arrive.',
  },
];

/** In the macros of man(7). The same for the same program, on every machine and every day. */
export function manPage(program: Command, version: string): string {
  const lines = [
    '.\\" Made by "npm run man" from the program itself.',
    `.TH ${program.name().toUpperCase()} 1 "" "${program.name()} ${version}" "User Commands"`,
    '.SH NAME',
    `${program.name()} \\- ${escaped(withoutPeriod(program.description()))}`,
    '.SH SYNOPSIS',
    ...program.commands.flatMap((command) => synopsis(program, command)),
    '.SH DESCRIPTION',
    ...DESCRIPTION.flatMap((paragraph) => ['.PP', escaped(paragraph)]),
    '.SH COMMANDS',
    ...program.commands.flatMap((command) => commandLines(program, command)),
    '.SH STORAGES',
    'What stands for a storage on the command line:',
    ...entries(STORAGES),
    '.SH EXIT STATUS',
    ...entries(EXIT_STATUS),
    '.SH ENVIRONMENT',
    ...entries(ENVIRONMENT),
    '.SH FILES',
    ...entries(FILES),
    '.SH EXAMPLES',
    ...Object.values(EXAMPLES)
      .flat()
      .flatMap(({ does, line }) => [
        '.PP',
        escaped(does),
        '.PP',
        '.RS 4',
        '.nf',
        escaped(`${program.name()} ${line}`),
        '.fi',
        '.RE',
      ]),
    '.SH SEE ALSO',
    'The documents in the package: command line, configuration, prices, exit codes, metrics, architecture.',
  ];
  return `${lines.join('\n')}\n`;
}

const DESCRIPTION: readonly string[] = [
  'blobferry copies every object of a registry under the key that the registry will look for, hashes it on the way, compares the hash with the digest that the registry knows it by, and makes the target check what it receives.',
  'A copy may run while the registry does, as often as is liked: each one copies only what is missing. A last one with --frozen, once nothing writes to the registry any more, finds the source at rest. "verify --deep" then reads everything back.',
  'The source is never written to. Nothing in the target is ever deleted, or overwritten with other content under a name that must not change.',
];

function synopsis(program: Command, command: Command): readonly string[] {
  const required = command.options.filter((option) => option.mandatory && option.defaultValue === undefined);
  const words = [
    ...required.map((option) => option.flags),
    '[options]',
    ...command.registeredArguments.map((argument) => `<${argument.name()}>`),
  ];
  return [`.B ${escaped(`${program.name()} ${command.name()}`)}`, escaped(words.join(' ')), '.br'];
}

function commandLines(program: Command, command: Command): readonly string[] {
  return [
    `.SS ${program.name()} ${command.name()}`,
    `${escaped(capitalized(command.description()))}.`,
    ...command.registeredArguments.flatMap((argument) =>
      entry(`<${argument.name()}>`, HELP.argumentDescription(argument)),
    ),
    ...command.options.flatMap((option) => optionLines(option)),
  ];
}

function optionLines(option: Option): readonly string[] {
  return entry(option.flags, HELP.optionDescription(option));
}

function entries(all: readonly Entry[]): readonly string[] {
  return all.flatMap(({ term, text }) => entry(term, text));
}

function entry(term: string, text: string): readonly string[] {
  return ['.TP', `.B ${escaped(term)}`, escaped(text)];
}

function withoutPeriod(text: string): string {
  return text.replace(/\.$/, '');
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A hyphen would become a typographic one that nobody can type; a line must not begin with a macro's mark. */
function escaped(text: string): string {
  const safe = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll("'", '\\(aq');
  return /^[.']/.test(safe) ? `\\&${safe}` : safe;
}
