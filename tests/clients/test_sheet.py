"""The exported PDF, checked by a PDF/UA-1 validator that passes veraPDF's own corpus."""

import statistics
import subprocess
import tempfile
import time
import unittest

import page

from portal import Manager, Portal

LONG = "Syndicat intercommunal à vocation multiple de l’assainissement et des eaux du Cœur d’Ouest "


class Sheet(unittest.TestCase):
    def test_the_sheet_is_accessible_sound_and_small(self):
        with Portal() as portal:
            manager = Manager(portal)
            structure = manager.structure()[0]
            self.judge(manager, structure, "Logiciel comptable")
            portal.sql(f"UPDATE structures SET designation = '{(LONG * 3)[:250]}', address_line = '{(LONG * 3)[:250]}' WHERE id = {structure}")
            self.judge(manager, structure, "Progiciel de gestion financière et comptable, à l’œuvre dès 2027 " + "é" * 30)

    def judge(self, manager, structure, label):
        account = manager.create(structure, label)[0]
        times = []
        for _ in range(10):
            start = time.perf_counter()
            sheet = manager.sheet(account)
            times.append(1000 * (time.perf_counter() - start))
        self.assertTrue(sheet.startswith(b"%PDF-"))
        report = page.validate_pdf_bytes(sheet, profile="ua1")
        print(
            f"\n{label:.20}: {len(sheet)} bytes, {statistics.median(times):.1f} ms a request in this build, "
            f"{report.rules.passed} of {report.rules.total} rules of PDF/UA-1 hold"
        )
        self.assertEqual([(failure.rule_id, failure.message) for failure in report.failures], [])
        self.assertTrue(report.is_compliant)
        self.assertGreater(report.rules.total, 100)
        self.assertEqual(report.document.page_count, 1)
        self.assertLess(len(sheet), 60_000)
        with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
            file.write(sheet)
            file.flush()
            subprocess.run(["qpdf", "--check", file.name], check=True, stdout=subprocess.DEVNULL)
        # The validator refuses a broken file.
        self.assertFalse(page.is_pdf_compliant_bytes(sheet.replace(b"pdfuaid:part", b"pdfuaid:port"), profile="ua1"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
