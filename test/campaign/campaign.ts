/** What every campaign is given and what it answers. */
export interface CampaignOptions {
  readonly seed: string;
  /** How many of what the campaign counts; default: its full number. */
  readonly count?: number;
  /** One case alone, where the campaign has cases that can be run alone. */
  readonly only?: number;
  /** Takes lines for people. */
  readonly say: (line: string) => void;
}

export interface CampaignResult {
  readonly isGood: boolean;
  readonly result: Readonly<Record<string, unknown>>;
}
