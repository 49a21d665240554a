"""Attacks a portal with known tools, and prints their findings: attack.py [TOOL...]

Each tool gets a fresh portal with its demonstration, on loopback. It may not end its own session or
change its own password. Delays after failures stay on.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from portal import TARGET, Manager, Portal  # noqa: E402

WORK = TARGET / "attack"
BIN = WORK / "venv/bin"
# What would end the session that a tool attacks with.
NOT_TRIED = ["/deconnexion", "/mon-compte/mot-de-passe", "/mon-compte/sessions/"]
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def run(command, seconds, **more):
    """A command's output, cut off after `seconds`; False where it was."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **more) as process:
        timer = threading.Timer(seconds, process.terminate)
        timer.start()
        output = process.communicate()[0]
        whole = timer.is_alive()
        timer.cancel()
    return output, whole


def certificate():
    """A certificate of `localhost`, so that tools see the portal as people do: over https."""
    certificate, key = WORK / "localhost.pem", WORK / "localhost.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return {"RACCORD_TLS_CERT": str(certificate), "RACCORD_TLS_KEY": str(key)}


def broken(portal):
    """Answers 5xx and panics in the portal's log: an attack that the portal did not foresee."""
    lines = [line for line in portal.logged().splitlines() if re.search(r"status=5|panicked|ERROR", line)]
    return [f"the portal's log: {line}" for line in lines[:20]]


# --- Headers -------------------------------------------------------------------------------------------------------------


def headers():
    """The score of Mozilla's HTTP Observatory, before and after sign-in."""
    observatory = WORK / "observatory/node_modules/@mdn/mdn-http-observatory"
    with Portal(**certificate()) as portal:
        manager, port, found = Manager(portal), portal.listen.split(":")[1], []
        for cookie, paths in [("", ["/connexion", "/plan-du-site"]), (manager.cookie(), ["/activites", "/mon-compte"])]:
            command = ["node", HERE / "headers.mjs", observatory, port, cookie, *paths]
            environment = {"PATH": "/usr/bin:/bin", "NODE_EXTRA_CA_CERTS": portal.settings["RACCORD_TLS_CERT"]}
            output, whole = run(command, 60, env=environment)
            print(output)
            found += [line.strip() for line in output.splitlines() if "FAIL" in line]
            found += [] if whole and output.count("points") == len(paths) else [f"no score: {output[-300:]}"]
        return found + broken(portal)


# --- wapiti --------------------------------------------------------------------------------------------------------------

# All that need no host outside: no lists fetched, no callbacks.
WAPITI = "backup,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,ldap,methods,permanentxss,redirect,shellshock,spring4shell,sql,timesql,upload,xss"
# What wapiti says and is no finding; docs/security.md has the reasons.
EXPLAINED = {
    # It looks for tokens in forms; ours are kept by Sec-Fetch-Site and Origin, which it cannot see.
    "Cross Site Request Forgery",
    # It takes any change of the answer for one: a delay after failures, an order of the list that is none. The program speaks to no
    # directory.
    "LDAP Injection",
}



def wapiti():
    """Crawls and attacks every page without a session, as the manager of many structures, and as a plain member."""
    found = []
    for role in ("gestionnaire_principal", "utilisateur", None):
        with Portal(**certificate()) as portal:
            account = next((account for account in portal.accounts if account["role"] == role), None)
            report = WORK / "wapiti.json"
            report.unlink(missing_ok=True)
            command = [BIN / "wapiti", "-u", f"{portal.url}/", "--flush-session", "--store-session", WORK / "wapiti", "-m", WAPITI]
            command += ["--verify-ssl", "0", "--no-bugreport", "-f", "json", "-o", report, "-v", "0"]
            command += ["-d", "6", "--max-links-per-page", "40", "--max-scan-time", "150", "--max-attack-time", "60", "-t", "10"]
            for name, value in OWN_PAGE.items():
                command += ["-H", f"{name}: {value}"]
            for page in NOT_TRIED:
                command += ["-x", f"{portal.url}{page}*"]
            if account:
                manager = Manager(portal, account)
                command += ["-C", manager.cookie(), "-s", f"{portal.url}/mon-compte", "-s", f"{portal.url}/activites"]
            output, whole = run([str(part) for part in command], 1500)
            if not report.exists():
                found.append(f"wapiti as {role} made no report: {output[-500:]}")
                continue
            findings = json.loads(report.read_text())
            print(f"as {role or 'nobody'}: {findings['infos'].get('crawled_pages_nbr')} pages crawled")
            if account:
                # Our own reads of that page are three at most: that it is who it says, and stays so to the end.
                read = len(re.findall(r'path="?/mon-compte"? status=200', portal.logged()))
                print(f"  « Mon compte » was read {read} times")
                if read < 10 or "Se déconnecter" not in manager.open("/mon-compte"):
                    found.append(f"wapiti as {role}: it was not signed in, or not to the end")
            for kind in ("vulnerabilities", "anomalies"):
                for name, cases in findings[kind].items():
                    if cases:
                        print(f"  {kind}: {name}: {len(cases)}{' (explained)' if name in EXPLAINED else ''}")
                    if name not in EXPLAINED:
                        found += [f"wapiti as {role}: {name}: {case['method']} {case['path']} {case['info']}" for case in cases[:5]]
            found += broken(portal)
    return found


# --- sqlmap --------------------------------------------------------------------------------------------------------------


def forms(page):
    """The forms of a page: method, action and fields."""
    for form in re.findall(r"<form\b.*?</form>", page, re.S):
        method = (re.search(r'^<form[^>]*\bmethod="(\w+)"', form) or ["", "get"])[1].upper()
        action = re.search(r'^<form[^>]*\baction="([^"]*)"', form)
        fields = {}
        for tag in re.findall(r"<(?:input|textarea|select|button)\b[^>]*>", form):
            name, value = re.search(r'\bname="([^"]*)"', tag), re.search(r'\bvalue="([^"]*)"', tag)
            if name:
                fields[name[1]] = html.unescape(value[1]) if value else "1"
        yield method, html.unescape(action[1]) if action else "", fields


def numbers_out(path):
    return re.sub(r"\d+", "0", path.split("?")[0])


def crawl(manager):
    """Every kind of page that the person can reach, once: its forms and its links with a query."""
    waiting, seen, requests = ["/", "/activites", "/mon-compte", "/mot-de-passe-oublie", "/connexion"], set(), {}
    while waiting:
        path = waiting.pop(0)
        key = (numbers_out(path), tuple(sorted(re.findall(r"[?&]([^=&]+)=", path))))
        if key in seen or any(path.startswith(page) for page in NOT_TRIED):
            continue
        seen.add(key)
        if re.search(r"[?&][^=&]+=", path):
            requests[("GET", *key)] = ("GET", path, {})
        try:
            page = manager.open(path)
        except (urllib.error.HTTPError, UnicodeDecodeError):
            continue
        waiting += [html.unescape(link) for link in re.findall(r'href="(/[^"#]*)"', page) if not link.startswith("/static")]
        for method, action, fields in forms(page):
            if fields and action.startswith("/") and not any(action.startswith(page) for page in NOT_TRIED):
                requests[(method, numbers_out(action), tuple(fields))] = (method, action, fields)
    return list(requests.values()), len(seen)


def as_text(portal, method, path, headers, body):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {portal.listen}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def portal_requests(portal, manager):
    requests, pages = crawl(manager)
    for method, path, fields in requests:
        encoded = urllib.parse.urlencode(fields)
        headers = OWN_PAGE | {"Cookie": manager.cookie()}
        if method == "GET":
            yield as_text(portal, "GET", path if not fields else f"{path.split('?')[0]}?{encoded}", headers, "")
        else:
            yield as_text(portal, "POST", path, headers | {"Content-Type": "application/x-www-form-urlencoded"}, encoded)
    # Who is signed in does not see these.
    form = OWN_PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
    yield as_text(portal, "POST", "/connexion", form, "suite=%2F&identifiant=personne%40exemple.fr&mot-de-passe=inconnu")
    confirmation = "confirmation-suite=%2Fmon-compte&confirmation-mot-de-passe=inconnu"
    yield as_text(portal, "POST", "/confirmation-identite", form | {"Cookie": manager.cookie()}, confirmation)
    print(f"{len(requests)} forms and queries on {pages} kinds of pages")


def api_requests(portal, manager):
    structure, siret = manager.structure()
    _, login, password = manager.create(structure, "sqlmap")
    access = {"Authorization": f"Bearer {portal.token(login, password)}", "Content-Type": "application/json"}
    pages = {"nbResultatsParPage": 10, "pageResultatDemandee": 1, "triColonne": "IdentifiantStructure", "triSens": "Ascendant"}
    searched = {"identifiantStructure": siret, "typeIdentifiantStructure": "SIRET", "raisonSocialeStructure": "a", "libelleStructure": "a"}
    searched |= {"statutStructure": "ACTIF", "adresseCodePays": "FR", "adresseCodePostal": "75001", "adresseVille": "PARIS", "nomStructure": "a"}
    bodies = {
        "/cpro/utilisateurs/v1/monCompte/recuperer/rattachements": {"parametresRecherche": pages},
        "/cpro/structures/v1/rechercher": {"structure": searched, "parametres": pages, "restreindreStructuresPrivees": False},
        "/cpro/structures/v1/consulter": {"codeLangue": "fr", "idStructureCPP": int(structure)},
        "/cpro/structures/v1/lister/rattachementsutilisateur": {"idStructure": int(structure), "identifiantStructure": siret, "typeIdentifiantStructure": "SIRET"},
    }
    for path, body in bodies.items():
        yield as_text(portal, "POST", path, access, json.dumps(body))
    token = {"grant_type": "client_credentials", "client_id": login, "client_secret": password, "scope": "openid"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    yield as_text(portal, "POST", "/api/oauth/token", form, urllib.parse.urlencode(token))


def sqlmap():
    """Every form field, query parameter and member of the API, with a valid session and a valid token."""
    found = []
    # Enough accounts for its creations; a day's sign-ins are not its business.
    with Portal(RACCORD_MAX_TECHNICAL_USERS="1000") as portal:
        manager = Manager(portal)
        requests = [*portal_requests(portal, manager), *api_requests(portal, manager)]
        tried, start = 0, time.monotonic()
        for request in requests:
            file, folder = WORK / "request.txt", WORK / "sqlmap"
            shutil.rmtree(folder, ignore_errors=True)
            # Its session is renewed before 15 minutes are over, and before the portal asks who it is.
            if time.monotonic() - start > 600:
                old, manager, start = manager.cookie(), Manager(portal), time.monotonic()
                requests = [request.replace(old, manager.cookie()) for request in requests]
            request = re.sub(r"Cookie: .*\r", f"Cookie: {manager.cookie()}\r", request)
            file.write_text(request)
            command = [BIN / "sqlmap", "-r", file, "--batch", "--level", "2", "--risk", "1", "--dbms", "PostgreSQL", "--flush-session"]
            command += ["--output-dir", folder, "--skip", "Cookie,Authorization,Host,User-Agent,Referer", "--time-sec", "2", "--threads", "2"]
            command += ["--ignore-code", "*", "--drop-set-cookie", "--disable-coloring", "--ignore-redirects"]
            output, whole = run([str(part) for part in command], 120)
            line = request.split("\r\n")[0]
            tested = len(set(re.findall(r"testing if .*?parameter '([^']+)'", output)))
            tried += tested
            # Its last word. Before it, it may suspect what it then finds to be none: here it was a delay after failures, once.
            injectable = re.findall(r"^Parameter: .*|.* is vulnerable.*", output, re.M)
            suspected = len(re.findall(r"appears to be .*injectable|false positive or unexploitable", output))
            print(f"  {line.rsplit(' ', 1)[0][:90]}: {tested} parameters{'' if whole else ', cut off after 120 s'}{f', {suspected} suspicions' if suspected else ''}")
            found += [f"sqlmap: {line}: {what.strip()}" for what in injectable]
            found += [f"sqlmap: {line}: nothing tested: {output[-300:]}"] if tested == 0 else []
        print(f"{tried} parameters of {len(requests)} requests")
        return found + broken(portal)


# --- Slow ----------------------------------------------------------------------------------------------------------------


def slow():
    """Slow heads, slow bodies, slow readers and idle connections, two thousand each, while a visitor reads pages."""
    found = []
    with Portal() as portal:
        manager = Manager(portal)
        big = next(path for path in re.findall(r'src="(/static/[^"]+)"', manager.open("/activites")))
        for name, kind in [("heads", ["-H"]), ("bodies", ["-B", "-s", "8192"]), ("reads", ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32"])]:
            times, failures, done = [], [], threading.Event()

            def probe():
                while not done.is_set():
                    start = time.monotonic()
                    try:
                        manager.open("/activites")
                        times.append(time.monotonic() - start)
                    except OSError as error:
                        failures.append(f"{type(error).__name__}: {error}")
                    done.wait(0.1)

            visitor = threading.Thread(target=probe)
            visitor.start()
            url = portal.url + {"reads": big, "bodies": "/connexion"}.get(name, "/connexion")
            command = ["slowhttptest", *kind, "-u", url, "-c", "2000", "-r", "400", "-i", "5", "-l", "45", "-p", "3", "-x", "16"]
            output, whole = run(command, 90, cwd=WORK)
            done.set()
            visitor.join()
            times.sort()
            opened = re.findall(r"connected:\s+(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", output))
            p99 = times[int(len(times) * 0.99)] if times else float("inf")
            print(f"  slow {name}: up to {max(map(int, opened), default=0)} connections held; {len(times)} pages read, median {times[len(times) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, {len(failures)} failures")
            found += [f"slow {name}: {failure}" for failure in failures[:3]]
            found += [f"slow {name}: p99 {p99:.1f} s"] if p99 > 1 else []
            found += [f"slow {name}: no connection was made: {output[-300:]}"] if not opened else []
        return found + broken(portal)


TOOLS = {"headers": headers, "slow": slow, "wapiti": wapiti, "sqlmap": sqlmap}


def main():
    unknown = set(sys.argv[1:]) - set(TOOLS)
    if unknown:
        sys.exit(f"usage: bin/attack [{' | '.join(TOOLS)}]...")
    total = 0
    for name in sys.argv[1:] or TOOLS:
        print(f"\n=== {name}: {TOOLS[name].__doc__}", flush=True)
        start = time.monotonic()
        found = TOOLS[name]()
        total += len(found)
        print(f"{name}: {len(found)} findings in {time.monotonic() - start:.0f} s")
        print("".join(f"  FOUND {what}\n" for what in found), end="", flush=True)
    print(f"\n{total} findings")
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
