# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_raccord_global_optspecs
    string join \n demo accept-new-keys h/help V/version
end

function __fish_raccord_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_raccord_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_raccord_using_subcommand
    set -l cmd (__fish_raccord_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c raccord -n "__fish_raccord_needs_command" -l demo -d 'Fill an empty database with a demonstration first (as `raccord demo`)'
complete -c raccord -n "__fish_raccord_needs_command" -l accept-new-keys -d 'Start although RACCORD_SECRET_KEY_FILE has none of the keys that this database was used with: once, after the key file was lost for good'
complete -c raccord -n "__fish_raccord_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_needs_command" -s V -l version -d 'Print version'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "serve" -d 'Serve the portal and its API until SIGTERM or Ctrl-C (the default command)'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "migrate" -d 'Bring the database\'s schema up to date, and stop'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "import" -d 'Load structures or their managers from a file'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "user" -d 'List, invite and disable people'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "technical-user" -d 'List, suspend and expire technical users, the accounts of programs'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "structure" -d 'Show structures, and appoint a principal manager where none is left'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "service" -d 'Register the APIs of yours that ask Raccord who calls them'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "signing-key" -d 'Rotate the keys that sign tokens for services'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "secret" -d 'Look for leaked passwords'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "audit" -d 'Verify the history of acts, or export it'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "stats" -d 'Count people, structures, technical users, calls and mails'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "doctor" -d 'Look at all that serving needs; say what is wrong, and how to mend it'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "demo" -d 'Fill an empty database with a demonstration, and stop'
complete -c raccord -n "__fish_raccord_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand serve" -l demo -d 'Fill an empty database with a demonstration first (as `raccord demo`)'
complete -c raccord -n "__fish_raccord_using_subcommand serve" -l accept-new-keys -d 'Start although RACCORD_SECRET_KEY_FILE has none of the keys that this database was used with: once, after the key file was lost for good'
complete -c raccord -n "__fish_raccord_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand import; and not __fish_seen_subcommand_from structures managers help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand import; and not __fish_seen_subcommand_from structures managers help" -f -a "structures" -d 'Load the public directory of structures'
complete -c raccord -n "__fish_raccord_using_subcommand import; and not __fish_seen_subcommand_from structures managers help" -f -a "managers" -d 'Load people, and what they are in which structures'
complete -c raccord -n "__fish_raccord_using_subcommand import; and not __fish_seen_subcommand_from structures managers help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from structures" -l report -d 'Write the refused lines to this file, each with the reason' -r -F
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from structures" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from structures" -l strict -d 'Refuse a line where a cell would have to be mended or emptied'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from structures" -l dry-run -d 'Try every line, say what would change, and change nothing'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from structures" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from managers" -l report -d 'Write the refused lines to this file, each with the reason' -r -F
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from managers" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from managers" -l dry-run -d 'Try every line, say what would change, and change nothing'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from managers" -l restore-removed -d 'Give roles back to people who were removed from a structure, or left it, since'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from managers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "structures" -d 'Load the public directory of structures'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "managers" -d 'Load people, and what they are in which structures'
complete -c raccord -n "__fish_raccord_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "list" -d 'List the people who can sign in to the portal, or could'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "show" -d 'Show a person: state, sessions, structures'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "invite" -d 'Register a person and send a link to choose a password'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "disable" -d 'End a person\'s access to the portal: when they leave, or their account was stolen'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "enable" -d 'Give a person the access back that `raccord user disable` ended'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "sign-out" -d 'End all sessions of a person'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "reset-mfa" -d 'Take away the second factor of a person who has lost it'
complete -c raccord -n "__fish_raccord_using_subcommand user; and not __fish_seen_subcommand_from list show invite disable enable sign-out reset-mfa help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from list" -l search -d 'Part of a login, a name or an address' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from list" -l state -d 'Only people in this state' -r -f -a "invited\t''
active\t''
disabled\t''"
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from list" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from list" -l csv -d 'As CSV for a spreadsheet, as the portal exports it: UTF-8, `;`, instants in Paris time'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from show" -l json -d 'As JSON, one object'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l login -d 'What the person signs in with, e.g. claire.fontaine@mairie.example' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l last-name -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l first-name -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l contact -d 'The address that mails go to' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l structure -d 'Also attach the person to this structure, e.g. SIRET:21750001600019' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l role -d 'The role in that structure: GESTIONNAIRE_PRINCIPAL, GESTIONNAIRE_SECONDAIRE or UTILISATEUR' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l resend -d 'Send a person who is known already another link, to the addresses that the portal has'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -l replace-address -d 'Give a person who is known already this address, which then counts as confirmed'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from invite" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from disable" -l reason -d 'Why, for the history' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from disable" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from enable" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from sign-out" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from sign-out" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from reset-mfa" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from reset-mfa" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the people who can sign in to the portal, or could'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a person: state, sessions, structures'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "invite" -d 'Register a person and send a link to choose a password'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "disable" -d 'End a person\'s access to the portal: when they leave, or their account was stolen'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Give a person the access back that `raccord user disable` ended'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "sign-out" -d 'End all sessions of a person'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "reset-mfa" -d 'Take away the second factor of a person who has lost it'
complete -c raccord -n "__fish_raccord_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "list" -d 'List the technical users of all structures'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "show" -d 'Show a technical user: password, calls, refusals, restrictions; never the password itself'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "suspend" -d 'Suspend a technical user: its calls are refused from the next one on'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "reactivate" -d 'Take a suspended technical user back, with the password that it has'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "expire" -d 'Let the password of a technical user expire now: after a leak, or a restore'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and not __fish_seen_subcommand_from list show suspend reactivate expire help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l expiring -d 'Only active accounts whose password expires within so many days' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l dormant -d 'Only active accounts that were not used for so many days: no call, no new password' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l structure -d 'Only those of this structure, e.g. SIRET:21750001600019' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l failing -d 'Only accounts whose calls are refused at present'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l suspended -d 'Only suspended accounts'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -l csv -d 'As CSV for a spreadsheet, as the portal exports it: UTF-8, `;`, instants in Paris time'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from show" -l json -d 'As JSON, one object'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from suspend" -l reason -d 'Why, for the history and the manager\'s mail' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from suspend" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from suspend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from reactivate" -l reason -d 'Why, for the history and the manager\'s mail' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from reactivate" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from reactivate" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from expire" -l reason -d 'Why, for the history and the manager\'s mail' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from expire" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from expire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the technical users of all structures'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a technical user: password, calls, refusals, restrictions; never the password itself'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "suspend" -d 'Suspend a technical user: its calls are refused from the next one on'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "reactivate" -d 'Take a suspended technical user back, with the password that it has'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "expire" -d 'Let the password of a technical user expire now: after a leak, or a restore'
complete -c raccord -n "__fish_raccord_using_subcommand technical-user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and not __fish_seen_subcommand_from list show appoint help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and not __fish_seen_subcommand_from list show appoint help" -f -a "list" -d 'List the structures that have, or had, a principal manager'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and not __fish_seen_subcommand_from list show appoint help" -f -a "show" -d 'Show a structure: its principal manager, members and technical users'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and not __fish_seen_subcommand_from list show appoint help" -f -a "appoint" -d 'Appoint a principal manager where none is left'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and not __fish_seen_subcommand_from list show appoint help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from list" -l without-manager -d 'Only those whose principal manager is missing, is disabled, or has never signed in'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from list" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from list" -l csv -d 'As CSV for a spreadsheet, as the portal exports it: UTF-8, `;`, instants in Paris time'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from show" -l json -d 'As JSON, one object'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from appoint" -l and-by -d 'The name of the second operator, who agrees' -r
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from appoint" -l reason -d 'Why' -r
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from appoint" -l by -d 'Your name, as the history shows it' -r
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from appoint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the structures that have, or had, a principal manager'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a structure: its principal manager, members and technical users'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from help" -f -a "appoint" -d 'Appoint a principal manager where none is left'
complete -c raccord -n "__fish_raccord_using_subcommand structure; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "add" -d 'Add a service, and print its id and its secret'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "list" -d 'List the services'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "rotate" -d 'Replace a service\'s secret, and print the new one'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "disable" -d 'Refuse a service, until it is enabled again'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "enable" -d 'Take a disabled service back, with the secret that it had'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "remove" -d 'Remove a service and its secrets for good'
complete -c raccord -n "__fish_raccord_using_subcommand service; and not __fish_seen_subcommand_from add list rotate disable enable remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -l audience -d 'The API\'s URL: what clients name as `resource`, and tokens as `aud`. It is not fetched' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -l token-seconds -d 'The lifetime of tokens that name it, 30 to 3600 [default: 900; with --jwt 300, the most]' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -l jwt -d 'Make the tokens that name it JWTs (RFC 9068), which it can verify without asking Raccord'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -l require-audience -d 'Open it only to tokens that name it'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from list" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from rotate" -l keep -d 'How long the old secret works on: a number with m, h or d, e.g. 24h; 30d at most' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from rotate" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from disable" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from enable" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from remove" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a service, and print its id and its secret'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the services'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Replace a service\'s secret, and print the new one'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "disable" -d 'Refuse a service, until it is enabled again'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Take a disabled service back, with the secret that it had'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a service and its secrets for good'
complete -c raccord -n "__fish_raccord_using_subcommand service; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -f -a "list" -d 'List the keys: the one that signs, the next one, and former ones that are still published'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -f -a "pem" -d 'Print a public key as PEM, for gateways that read keys from files (HAProxy)'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -f -a "rotate" -d 'Let the next key sign, and make a new next one'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -f -a "replace" -d 'Replace all keys at once: after a leak, or the loss of RACCORD_SECRET_KEY_FILE'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and not __fish_seen_subcommand_from list pem rotate replace help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from list" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from pem" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from rotate" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from replace" -l by -d 'Your name, as the history shows it; without it the history says « opérateur »' -r
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from replace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the keys: the one that signs, the next one, and former ones that are still published'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from help" -f -a "pem" -d 'Print a public key as PEM, for gateways that read keys from files (HAProxy)'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Let the next key sign, and make a new next one'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from help" -f -a "replace" -d 'Replace all keys at once: after a leak, or the loss of RACCORD_SECRET_KEY_FILE'
complete -c raccord -n "__fish_raccord_using_subcommand signing-key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Tell whether a text holds technical passwords, or secrets of services, that are still good'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "check" -d 'Tell whether a text holds technical passwords, or secrets of services, that are still good'
complete -c raccord -n "__fish_raccord_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and not __fish_seen_subcommand_from verify export help" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and not __fish_seen_subcommand_from verify export help" -f -a "verify" -d 'Tell whether the history of acts is what was written'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and not __fish_seen_subcommand_from verify export help" -f -a "export" -d 'Print the history of acts as JSON lines, for syslog or a SIEM'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and not __fish_seen_subcommand_from verify export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from verify" -l head -d 'A head that was noted earlier, and must still be in the chain' -r
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from export" -l since -d 'Begin after this position; with a hash, only where the chain still has that link' -r
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from export" -l state -d 'Note in this file what was printed, and begin after it the next time' -r -F
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from export" -l follow -d 'Go on with every event that is written, until SIGTERM or Ctrl-C'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Tell whether the history of acts is what was written'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print the history of acts as JSON lines, for syslog or a SIEM'
complete -c raccord -n "__fish_raccord_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand stats" -l json -d 'As JSON, one object'
complete -c raccord -n "__fish_raccord_using_subcommand stats" -s h -l help -d 'Print help'
complete -c raccord -n "__fish_raccord_using_subcommand doctor" -l json -d 'As JSON, one array'
complete -c raccord -n "__fish_raccord_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "serve" -d 'Serve the portal and its API until SIGTERM or Ctrl-C (the default command)'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "migrate" -d 'Bring the database\'s schema up to date, and stop'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "import" -d 'Load structures or their managers from a file'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "user" -d 'List, invite and disable people'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "technical-user" -d 'List, suspend and expire technical users, the accounts of programs'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "structure" -d 'Show structures, and appoint a principal manager where none is left'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "service" -d 'Register the APIs of yours that ask Raccord who calls them'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "signing-key" -d 'Rotate the keys that sign tokens for services'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "secret" -d 'Look for leaked passwords'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "audit" -d 'Verify the history of acts, or export it'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "stats" -d 'Count people, structures, technical users, calls and mails'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "doctor" -d 'Look at all that serving needs; say what is wrong, and how to mend it'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "demo" -d 'Fill an empty database with a demonstration, and stop'
complete -c raccord -n "__fish_raccord_using_subcommand help; and not __fish_seen_subcommand_from serve migrate import user technical-user structure service signing-key secret audit stats doctor demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "structures" -d 'Load the public directory of structures'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "managers" -d 'Load people, and what they are in which structures'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "list" -d 'List the people who can sign in to the portal, or could'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "show" -d 'Show a person: state, sessions, structures'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "invite" -d 'Register a person and send a link to choose a password'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "disable" -d 'End a person\'s access to the portal: when they leave, or their account was stolen'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "enable" -d 'Give a person the access back that `raccord user disable` ended'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "sign-out" -d 'End all sessions of a person'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "reset-mfa" -d 'Take away the second factor of a person who has lost it'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from technical-user" -f -a "list" -d 'List the technical users of all structures'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from technical-user" -f -a "show" -d 'Show a technical user: password, calls, refusals, restrictions; never the password itself'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from technical-user" -f -a "suspend" -d 'Suspend a technical user: its calls are refused from the next one on'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from technical-user" -f -a "reactivate" -d 'Take a suspended technical user back, with the password that it has'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from technical-user" -f -a "expire" -d 'Let the password of a technical user expire now: after a leak, or a restore'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from structure" -f -a "list" -d 'List the structures that have, or had, a principal manager'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from structure" -f -a "show" -d 'Show a structure: its principal manager, members and technical users'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from structure" -f -a "appoint" -d 'Appoint a principal manager where none is left'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "add" -d 'Add a service, and print its id and its secret'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "list" -d 'List the services'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "rotate" -d 'Replace a service\'s secret, and print the new one'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "disable" -d 'Refuse a service, until it is enabled again'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "enable" -d 'Take a disabled service back, with the secret that it had'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from service" -f -a "remove" -d 'Remove a service and its secrets for good'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from signing-key" -f -a "list" -d 'List the keys: the one that signs, the next one, and former ones that are still published'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from signing-key" -f -a "pem" -d 'Print a public key as PEM, for gateways that read keys from files (HAProxy)'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from signing-key" -f -a "rotate" -d 'Let the next key sign, and make a new next one'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from signing-key" -f -a "replace" -d 'Replace all keys at once: after a leak, or the loss of RACCORD_SECRET_KEY_FILE'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from secret" -f -a "check" -d 'Tell whether a text holds technical passwords, or secrets of services, that are still good'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Tell whether the history of acts is what was written'
complete -c raccord -n "__fish_raccord_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "export" -d 'Print the history of acts as JSON lines, for syslog or a SIEM'
