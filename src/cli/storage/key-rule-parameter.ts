/** `keyrule`: how keys are made of the registry's own paths, in YAML and in URLs. The rules: layout/key-rule.ts. */
import type { KeyRule } from '../../layout/key-rule.ts';
import { rulesOf } from '../../layout/key-settings.ts';
import { choiceParameter, Refused } from './parameter.ts';

type Kind = Parameters<typeof rulesOf>[0]['kind'];

const WHAT =
  'How names are made: as the registry makes them, or `plain`, without its rule: the root as it is written, then the path. Not a parameter of the registry';
const DEFAULTS: Readonly<Record<Kind, string>> = {
  s3: '`distribution`',
  gcs: '`distribution`',
  swift: '`distribution`',
  azure: 'as `trimlegacyrootprefix` says',
};

export function keyRuleParameter(kind: Kind) {
  return choiceParameter({ default: DEFAULTS[kind], description: WHAT }, rulesOf({ kind }), fold);
}

/** Of a URL's query; undefined where it is not given. */
export function readKeyRule(kind: Kind, text: string | undefined): KeyRule | undefined | Refused {
  if (text === undefined || text === '') return undefined;
  const rules = rulesOf({ kind });
  return rules.find((rule) => rule === fold(text)) ?? new Refused(`must be one of ${rules.join(', ')}`);
}

/** The part of a specification that says so. */
export function plainIf(rule: string | undefined): { readonly keyRule?: 'plain' } {
  return rule === 'plain' ? { keyRule: 'plain' } : {};
}

/**
 * Azure's own parameter says one half of the same: names begin with a slash (`false`) or do not (`true`).
 * @returns does the name begin with one? `Refused`: the two say different things; undefined: neither says.
 */
export function slashRootOf(
  rule: string | undefined,
  trims: boolean | undefined,
): boolean | undefined | Refused {
  if (rule === undefined) return trims === undefined ? undefined : !trims;
  const isSlashed = rule === 'distribution-2';
  const contradicts = trims !== undefined && trims === isSlashed;
  return contradicts
    ? new Refused(`"keyrule: ${rule}" and "trimlegacyrootprefix: ${trims}" contradict each other`)
    : isSlashed;
}

function fold(text: string): string {
  return text.toLowerCase();
}
