/** The parameters of the registry's `filesystem` driver. */
import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';
import type { FileSystemSpec } from '../../drivers/spec.ts';
import { integerParameter, parameter, Refused, readText } from './parameter.ts';
import { readSection, type Section } from './section.ts';

/** The registry's own default. */
const DEFAULT_ROOT = '/var/lib/registry';

export const filesystemParameters = z.object({
  rootdirectory: parameter(
    {
      type: 'text',
      default: DEFAULT_ROOT,
      refusesNothing: true,
      description: 'Absolute path of the folder that holds `docker/`',
    },
    readRoot,
  ),
  maxthreads: integerParameter(
    {
      default: '100',
      noEffect: "concerns the registry's own file operations",
      description: 'File operations of the registry at once',
    },
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
});

/** Problems and notes go to the section's remarks. */
export function readFilesystemSection(section: Section): FileSystemSpec | undefined {
  const read = readSection(section, filesystemParameters);
  if (!read) return undefined;
  const { rootdirectory } = read.values;
  if (rootdirectory === undefined) {
    section.remarks.note(
      section.line,
      `"rootdirectory" is not given: it is ${DEFAULT_ROOT}, as for the registry`,
    );
  }
  return { kind: 'fs', rootDirectory: rootdirectory ?? DEFAULT_ROOT };
}

/** A path as the registry joins it: `.` and `..` are resolved by name alone, and a slash at the end means nothing. */
export function readRoot(text: string): string | Refused {
  const checked = readText(text);
  if (checked instanceof Refused) return checked;
  if (checked === undefined || !isAbsolute(checked)) return new Refused('must be an absolute path');
  const path = normalize(checked);
  return path === '/' ? path : path.replace(/\/+$/, '');
}
