/** Scripts for a shell's start-up file. Each asks `sdgen __complete` at the cursor; where that is silent, files. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const BASH = String.raw`# bash completion of sdgen; put into ~/.bashrc:  source <(sdgen completion bash)
_sdgen() {
  local word=\${COMP_WORDS[COMP_CWORD]} quote= line
  case $word in \"* | \'*) quote=\${word:0:1} ;; esac
  COMPREPLY=()
  while IFS= read -r line; do
    line=\${line%%$'\t'*}
    if [[ -n $quote ]]; then COMPREPLY+=("$line"); else COMPREPLY+=("$(printf %q "$line")"); fi
  done < <(sdgen __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" "\${word#"$quote"}" 2>/dev/null)
}
complete -o default -o nosort -F _sdgen sdgen
`;

const ZSH = String.raw`#compdef sdgen
# zsh completion of sdgen; put into ~/.zshrc after compinit:  source <(sdgen completion zsh)
_sdgen() {
  local line
  local -a found
  while IFS= read -r line; do
    found+=("\${\${line%%$'\t'*}//:/\\:}\${\${(M)line%$'\t'*}:+:\${line#*$'\t'}}")
  done < <(sdgen __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  if (( $#found )); then _describe sdgen found; else _files; fi
}
compdef _sdgen sdgen
`;

const FISH = `# fish completion of sdgen; put into a file:  sdgen completion fish > ~/.config/fish/completions/sdgen.fish
function __sdgen_complete
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  sdgen __complete -- $words[2..-1] (string replace --regex '^["\\']' '' -- (commandline --current-token --cut-at-cursor)) 2>/dev/null
end
complete --command sdgen --arguments '(__sdgen_complete)'
`;

/** `\${` keeps the shells' braces out of the template's way. */
const shellText = (template: string): string => template.replaceAll('\\${', '${');

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: shellText(BASH),
  zsh: shellText(ZSH),
  fish: shellText(FISH),
};
