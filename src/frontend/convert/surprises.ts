import type { Rule } from '../lint/rules.ts';

function surprise<A extends readonly string[]>(
  name: string,
  description: string,
  message: (...args: A) => string,
  help: string,
): Rule<A> {
  return { name, description, message, help, url: '', advice: true };
}

/** Where BuildKit does something that surprises and says nothing. Advice: none of it fails a build. */
export const surprises: {
  readonly CopyLinkIgnored: Rule<readonly [keyword: string]>;
  readonly CopyLinkNamedOwner: Rule<readonly [keyword: string, owner: string]>;
  readonly ForeignSyntax: Rule<readonly [frontend: string]>;
  readonly CopyManyIntoFile: Rule<readonly [keyword: string, dest: string]>;
  readonly UnencryptedGitSource: Rule<readonly [url: string]>;
} = {
  CopyLinkIgnored: surprise(
    'CopyLinkIgnored',
    '--link has no effect together with --chmod',
    (keyword: string) => `${keyword} --link is ignored because of --chmod`,
    'drop one of the two flags, or set the mode of the files before they are copied',
  ),
  CopyLinkNamedOwner: surprise(
    'CopyLinkNamedOwner',
    '--link copies into an empty tree, where names of users and groups mean nothing',
    (keyword: string, owner: string) => `${keyword} --link cannot look up the owner "${owner}"`,
    'use numeric ids in --chown',
  ),
  ForeignSyntax: surprise(
    'ForeignSyntax',
    'The file names an image that is called like the Dockerfile frontend, and is read by what is built in',
    (frontend: string) => `The frontend image "${frontend}" is not used`,
    'drop the syntax directive, or run the image with --allow frontend',
  ),
  CopyManyIntoFile: surprise(
    'CopyManyIntoFile',
    'Several sources are copied one after the other over a destination that need not be a directory',
    (keyword: string, dest: string) => `${keyword} copies several sources to "${dest}", which does not end with "/"`,
    'end the destination with "/"',
  ),
  UnencryptedGitSource: surprise(
    'UnencryptedGitSource',
    'The repository is fetched over a connection that is neither encrypted nor authenticated',
    (url: string) => `ADD fetches "${url}" unencrypted and without checksum`,
    'use https:// or ssh://, or pin the commit with --checksum',
  ),
};
