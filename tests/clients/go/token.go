// golang.org/x/oauth2 in each of its styles: it tries one and then the other, credentials in the
// body, or in a header. Run by test_tokens.py.
package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	issuer := os.Getenv("ISSUER")
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader} {
		config := clientcredentials.Config{
			ClientID:     os.Getenv("LOGIN"),
			ClientSecret: os.Getenv("PASSWORD"),
			TokenURL:     issuer + "/api/oauth/token",
			AuthStyle:    style,
		}
		answer, err := config.Client(context.Background()).Get(issuer + "/api/moi")
		if err != nil {
			panic(err)
		}
		fmt.Println(answer.StatusCode)
	}
}
